//! The API leaves empty maps and lists out; with ours left out too, a rendered object is equal to the stored one.

use std::collections::BTreeMap;

pub(crate) fn non_empty<V>(map: BTreeMap<String, V>) -> Option<BTreeMap<String, V>> {
    if map.is_empty() { None } else { Some(map) }
}

pub(crate) fn non_empty_list<T>(list: Vec<T>) -> Option<Vec<T>> {
    if list.is_empty() { None } else { Some(list) }
}
