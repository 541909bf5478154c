//! Which ports of this machine stand for a session in port style.
//!
//! The ports follow from the runtime id, so that a service that starts again finds those that its clients know without having
//! kept them anywhere. Two ids may want the same ones: then the next free ones are taken, and whoever serves keeps a list of
//! what it gave ([`PortTable`]), in a file if it can.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use podbay_manifests::RuntimeId;

use super::endpoint::Endpoint;

/// Ports of a session: one for each endpoint.
const EACH: u16 = 4;

/// The ports of one session, one after the other in the order of [`Endpoint::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortBlock(u16);

impl PortBlock {
    /// The block whose first port this is. `None` if it would end after the last port, or begin with 0.
    pub fn starting_at(first: u16) -> Option<Self> {
        (first > 0 && first.checked_add(EACH - 1).is_some()).then_some(Self(first))
    }

    /// The first port.
    pub const fn first(self) -> u16 {
        self.0
    }

    /// The port of an endpoint.
    pub const fn port(self, endpoint: Endpoint) -> u16 {
        self.0 + endpoint as u16
    }
}

/// The ports that sessions may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    blocks: u16,
}

/// A range in which no session has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ports {first} to {last}: a session needs {EACH}, and the first one is not 0")]
pub struct PortRangeError {
    /// The first port.
    pub first: u16,
    /// The last one.
    pub last: u16,
}

impl Default for PortRange {
    /// 2,000 sessions, below the ports that systems give to outgoing connections (from 32,768 on Linux).
    fn default() -> Self {
        Self {
            first: 21_000,
            blocks: 2_000,
        }
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    /// `FIRST-LAST`.
    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let port = |text: &str| text.parse().unwrap_or_default();
        let (first, last) = text.split_once('-').unwrap_or_default();
        Self::new(port(first), port(last))
    }
}

impl PortRange {
    /// The ports from the first to the last one.
    pub fn new(first: u16, last: u16) -> Result<Self, PortRangeError> {
        let ports = u32::from(last) + 1 - u32::from(first.min(last));
        let blocks = u16::try_from(ports / u32::from(EACH)).unwrap_or(u16::MAX);
        if first == 0 || first > last || blocks == 0 {
            return Err(PortRangeError { first, last });
        }
        Ok(Self { first, blocks })
    }

    /// The blocks that a session may have, best first: each of the range, once.
    pub fn candidates(self, id: &RuntimeId) -> impl Iterator<Item = PortBlock> {
        // The digits are random already.
        let digits = id.as_str().bytes().take(8);
        let wanted = digits.fold(0_u32, |value, digit| {
            value << 4 | char::from(digit).to_digit(16).unwrap_or_default()
        });
        let begin = wanted % u32::from(self.blocks);
        (0..u32::from(self.blocks)).filter_map(move |step| {
            let index = u16::try_from((begin + step) % u32::from(self.blocks)).ok()?;
            PortBlock::starting_at(self.first + index * EACH)
        })
    }
}

/// Which session has which ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortTable {
    given: HashMap<RuntimeId, PortBlock>,
}

impl PortTable {
    /// The ports of a session.
    pub fn of(&self, id: &RuntimeId) -> Option<PortBlock> {
        self.given.get(id).copied()
    }

    /// The blocks to try for a session, best first: the one it has, else those that no other session has.
    pub fn candidates(&self, range: PortRange, id: &RuntimeId) -> Vec<PortBlock> {
        if let Some(block) = self.of(id) {
            return vec![block];
        }
        range
            .candidates(id)
            .filter(|block| !self.given.values().any(|given| given == block))
            .collect()
    }

    /// All of them.
    pub fn given(&self) -> BTreeMap<RuntimeId, PortBlock> {
        self.given
            .iter()
            .map(|(id, block)| (id.clone(), *block))
            .collect()
    }

    /// From now on it has these.
    pub fn give(&mut self, id: RuntimeId, block: PortBlock) {
        self.given.insert(id, block);
    }

    /// The session has no ports any longer.
    pub fn take_back(&mut self, id: &RuntimeId) -> Option<PortBlock> {
        self.given.remove(id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn id(byte: u8) -> RuntimeId {
        RuntimeId::from_random([byte; 16])
    }

    #[test]
    fn a_range_is_two_ports() {
        assert_eq!("21000-28999".parse(), Ok(PortRange::default()));
        assert_eq!(
            podbay_config::ServeConfig::default().ports.parse(),
            Ok(PortRange::default())
        );
        for wrong in ["", "1", "1-", "-4", "0-9", "4-6", "9-1", "1-99999", "a-b"] {
            assert!(wrong.parse::<PortRange>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_block_of_a_range_is_a_candidate_once() {
        let range = PortRange::new(30_000, 30_041).unwrap();
        let blocks: Vec<_> = range.candidates(&id(7)).collect();
        assert_eq!(blocks.len(), 10);
        let ports: HashSet<u16> = blocks
            .iter()
            .flat_map(|block| Endpoint::ALL.map(|endpoint| block.port(endpoint)))
            .collect();
        assert_eq!(ports, (30_000..30_040).collect());
        assert_eq!(blocks, range.candidates(&id(7)).collect::<Vec<_>>());
    }

    #[test]
    fn the_largest_range_has_no_port_after_the_last_one() {
        let range = PortRange::new(1, u16::MAX).unwrap();
        let last = range
            .candidates(&id(0xff))
            .map(|block| block.port(Endpoint::Work2))
            .max();
        assert_eq!(last, Some(65_532));
        assert!(PortRange::new(0, 10).is_err());
        assert!(PortRange::new(10, 12).is_err());
        assert!(PortRange::new(10, 9).is_err());
    }

    #[test]
    fn two_sessions_never_have_the_same_ports() {
        let range = PortRange::new(30_000, 30_007).unwrap();
        let mut table = PortTable::default();
        let first = table.candidates(range, &id(1))[0];
        table.give(id(1), first);
        assert_eq!(table.candidates(range, &id(1)), [first]);
        let second = table.candidates(range, &id(1 + 2))[0];
        assert_ne!(first, second);
        table.give(id(3), second);
        assert_eq!(table.candidates(range, &id(5)), []);
        assert_eq!(table.take_back(&id(1)), Some(first));
        assert_eq!(table.candidates(range, &id(5)), [first]);
    }
}
