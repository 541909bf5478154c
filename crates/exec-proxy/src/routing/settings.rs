//! How requests are routed.

use std::time::Duration;

use podbay_config::ServeConfig;

use super::hold::HoldLimits;
use super::pool::PoolLimits;
use super::url::UrlStyle;

/// How requests are routed.
#[derive(Clone, Debug)]
pub struct RoutingSettings {
    /// How the URLs of sessions are made.
    pub style: UrlStyle,
    /// How long requests are held.
    pub hold: HoldLimits,
    /// How many connections to sandboxes are kept.
    pub pool: PoolLimits,
    /// In path style: all sandboxes are one tenant's, whose documents may see each other.
    pub trusted_single_tenant: bool,
}

impl RoutingSettings {
    /// Those that are usual, with this style of URLs.
    pub fn new(style: UrlStyle) -> Self {
        Self {
            style,
            hold: HoldLimits::default(),
            pool: PoolLimits::default(),
            trusted_single_tenant: false,
        }
    }

    /// As the settings have them, with this style of URLs.
    pub fn of(config: &ServeConfig, style: UrlStyle) -> Self {
        Self {
            hold: HoldLimits {
                starting: Duration::from_secs(config.hold_starting_seconds),
                waking: Duration::from_secs(config.hold_waking_seconds),
                wake: config.wake,
                ..HoldLimits::default()
            },
            trusted_single_tenant: config.trusted_single_tenant,
            ..Self::new(style)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_trusts_all_sandboxes_says_so() {
        let trusts = |config: &ServeConfig| RoutingSettings::of(config, UrlStyle::Port).trusted_single_tenant;
        assert!(!trusts(&ServeConfig::default()));
        let config = ServeConfig {
            trusted_single_tenant: true,
            ..ServeConfig::default()
        };
        assert!(trusts(&config));
    }

    #[test]
    fn holds_are_those_of_the_settings() {
        let of = |config: &ServeConfig| RoutingSettings::of(config, UrlStyle::Port).hold;
        let config = ServeConfig::default();
        assert_eq!(of(&config), HoldLimits::default());
        let hold = of(&ServeConfig {
            hold_starting_seconds: 1,
            hold_waking_seconds: 2,
            wake: false,
            ..config
        });
        assert_eq!(hold.starting, Duration::from_secs(1));
        assert_eq!(hold.waking, Duration::from_secs(2));
        assert!(!hold.wake);
    }
}
