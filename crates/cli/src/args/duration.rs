//! Durations as people write them.

use std::time::Duration;

use jiff::SignedDuration;

/// A duration above zero: seconds (`90`, `0.5`), or with units (`30s`, `5m`, `1h30m`, `500ms`).
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let allowed = "a duration is 30s, 5m, 1h30m, 500ms or a number of seconds";
    let parsed = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| allowed.to_owned())?,
        Err(_) => text
            .parse::<SignedDuration>()
            .ok()
            .and_then(|duration| Duration::try_from(duration).ok())
            .ok_or_else(|| allowed.to_owned())?,
    };
    if parsed.is_zero() {
        Err("it must be more than 0".to_owned())
    } else {
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_ways_to_write_a_duration() {
        let millis = |text: &str| duration(text).unwrap().as_millis();
        assert_eq!(millis("30s"), 30_000);
        assert_eq!(millis("5m"), 300_000);
        assert_eq!(millis("1h30m"), 5_400_000);
        assert_eq!(millis("500ms"), 500);
        assert_eq!(millis("90"), 90_000);
        assert_eq!(millis("0.5"), 500);
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "0",
            "0s",
            "-5",
            "-5s",
            "5 parsecs",
            "NaN",
            "inf",
            "1e300",
            "m",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
