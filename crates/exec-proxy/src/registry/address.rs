//! Which addresses may be connected to, whatever name leads there: a pure function.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Forbidden {
    /// A network's own: it may be listed.
    #[error("it is a private address")]
    Private,
    /// No registry is there: link-local, where clouds tell their machines secrets, unspecified, multicast, reserved.
    #[error("it is no address of a registry")]
    Never,
}

/// Whether an address may be connected to, of a registry that may have private ones or not.
pub(super) fn check(address: IpAddr, may_be_private: bool) -> Result<(), Forbidden> {
    let class = match address {
        IpAddr::V4(address) => of_v4(address),
        IpAddr::V6(address) => of_v6(address),
    };
    match class {
        Err(Forbidden::Private) if may_be_private => Ok(()),
        class => class,
    }
}

fn of_v4(address: Ipv4Addr) -> Result<(), Forbidden> {
    let [first, second, third, _] = address.octets();
    if address.is_loopback() || address.is_private() || (first == 100 && second & 0xc0 == 64) {
        return Err(Forbidden::Private);
    }
    let is_reserved = first == 0
        || first >= 224
        || address.is_link_local()
        || address.is_documentation()
        || (first, second, third) == (192, 0, 0)
        || (first == 198 && second & 0xfe == 18);
    if is_reserved {
        Err(Forbidden::Never)
    } else {
        Ok(())
    }
}

fn of_v6(address: Ipv6Addr) -> Result<(), Forbidden> {
    let segments = address.segments();
    let last = || Ipv4Addr::from(((u32::from(segments[6])) << 16) | u32::from(segments[7]));
    if address.is_loopback() || segments[0] & 0xfe00 == 0xfc00 {
        return Err(Forbidden::Private);
    }
    match segments {
        // IPv4 in IPv6, mapped, and as translators have it (RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => of_v4(last()),
        // Tunnels, with an address of IPv4 within: 6to4 and Teredo; and documentation.
        [0x2002, ..] | [0x2001, 0 | 0xdb8, ..] => Err(Forbidden::Never),
        // All that is assigned to be routed.
        [first, ..] if first & 0xe000 == 0x2000 => Ok(()),
        _ => Err(Forbidden::Never),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(address: &str) -> Result<(), Forbidden> {
        check(address.parse().unwrap(), false)
    }

    #[test]
    fn only_public_addresses_are_connected_to() {
        for public in [
            "140.82.121.33",
            "1.1.1.1",
            "2606:4700::1111",
            "64:ff9b::8c52:7921",
        ] {
            assert_eq!(class(public), Ok(()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "127.255.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
        ] {
            assert_eq!(class(private), Err(Forbidden::Private), "{private}");
            assert_eq!(check(private.parse().unwrap(), true), Ok(()), "{private}");
        }
        for never in [
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.0.1",
            "198.18.0.1",
            "203.0.113.1",
            "::",
            "fe80::1",
            "ff02::1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "::ffff:169.254.169.254",
            "::7f00:1",
            "fec0::1",
        ] {
            assert_eq!(
                check(never.parse().unwrap(), true),
                Err(Forbidden::Never),
                "{never}"
            );
        }
    }
}
