//! End-to-end tests of Podbay.
