//! Ages as kubectl writes them.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How long ago `then` was: two units while the first is small, as kubectl's lists have it.
pub(crate) fn age(then: Option<Timestamp>, now: Timestamp) -> String {
    let Some(then) = then else {
        return "<unknown>".to_owned();
    };
    // Clocks of two machines differ; a session of the future is a new one.
    let seconds = (now.as_second() - then.as_second()).max(0);
    let two = |large: i64, large_name: &str, small: i64, small_name: &str| {
        let rest = seconds % large / small;
        let first = format!("{}{large_name}", seconds / large);
        if rest == 0 {
            first
        } else {
            format!("{first}{rest}{small_name}")
        }
    };
    match seconds {
        ..120 => format!("{seconds}s"),
        120..600 => two(MINUTE, "m", 1, "s"),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(HOUR, "h", MINUTE, "m"),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(DAY, "d", HOUR, "h"),
        _ => format!("{}d", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_in_kubectl() {
        let of = |seconds: i64| {
            age(
                Some(Timestamp::UNIX_EPOCH),
                Timestamp::from_second(seconds).unwrap(),
            )
        };
        assert_eq!([of(0), of(119), of(120), of(185)], ["0s", "119s", "2m", "3m5s"]);
        assert_eq!([of(599), of(601), of(10_799)], ["9m59s", "10m", "179m"]);
        assert_eq!([of(10_800), of(14_460), of(100_000)], ["3h", "4h1m", "27h"]);
        assert_eq!([of(172_800), of(180_000), of(864_000)], ["2d", "2d2h", "10d"]);
        assert_eq!(age(None, Timestamp::UNIX_EPOCH), "<unknown>");
        assert_eq!(
            age(Some(Timestamp::from_second(9).unwrap()), Timestamp::UNIX_EPOCH),
            "0s"
        );
    }
}
