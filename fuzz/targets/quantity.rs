//! Quantities: every line of the input is parsed, and all are compared with each other and with an exact model.

#![no_main]

use libfuzzer_sys::fuzz_target;
use podbay_fuzz::quantity_model::{self, Amount, Reading};
use podbay_manifests::{Quantity, QuantityError};

/// Lines that are looked at: every pair of them is compared.
const MOST_LINES: usize = 16;

fn check(text: &str) -> Option<(Quantity, Amount)> {
    let parsed = text.parse::<Quantity>();
    let reading = quantity_model::read(text);
    let (quantity, amount) = match (parsed, reading) {
        (Ok(quantity), Reading::Amount(amount)) => (quantity, amount),
        (Err(QuantityError::Syntax(shown)), Reading::Syntax)
        | (Err(QuantityError::Negative(shown)), Reading::Negative)
        | (Err(QuantityError::TooLarge(shown)), Reading::TooLarge) => {
            assert_eq!(shown, text);
            return None;
        }
        (parsed, reading) => panic!("{text:?} is {parsed:?}, and should be {reading:?}"),
    };

    // Kept as it was written, through text and through JSON.
    assert_eq!(quantity.to_string(), text);
    let again: Quantity = quantity.to_string().parse().expect("what was shown is parsed");
    assert_eq!(again, quantity);
    let json = serde_json::to_string(&quantity).expect("a quantity is a JSON string");
    let again: Quantity = serde_json::from_str(&json).expect("what was written is read");
    assert_eq!((&again, again.to_string()), (&quantity, text.to_owned()));

    // The amount itself, by another way of writing it.
    let nano = amount.nano.to_whole_text();
    let canonical: Quantity = format!("{nano}n")
        .parse()
        .expect("an amount in its smallest unit");
    assert_eq!(canonical, quantity, "{text:?} is not {nano}n");
    assert_eq!(quantity.is_zero(), amount.nano.is_zero(), "{text:?}");
    assert_eq!(
        quantity.is_whole(),
        amount.nano.shifted(-9).is_whole(),
        "{text:?}"
    );
    Some((quantity, amount))
}

/// Twice an amount, and a sum in any order, are what they should be, or more than Kubernetes holds.
fn check_sum(a: &Quantity, exact_a: &Amount, b: &Quantity, exact_b: &Amount) {
    let (sum, twice) = (a.plus(b), a.times(2));
    assert_eq!(sum, b.plus(a), "{a} and {b}");
    for made in [&sum, &twice].into_iter().flatten() {
        let again: Quantity = made.to_string().parse().expect("a canonical text");
        assert_eq!(again, *made, "{a} and {b}");
    }
    let doubled = exact_a.nano.doubled();
    match quantity_model::read(&format!("{}n", doubled.to_whole_text())) {
        Reading::Amount(amount) => {
            let expected: Quantity = format!("{}n", amount.nano.to_whole_text())
                .parse()
                .expect("not too large");
            assert_eq!(twice, Some(expected), "twice {a}");
        }
        _ => assert_eq!(twice, None, "twice {a}"),
    }
    // Equal numbers make a sum that is twice one of them.
    if exact_a.nano == exact_b.nano {
        assert_eq!(sum, twice, "{a} and {b}");
    }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let quantities: Vec<(Quantity, Amount)> = text.split('\n').take(MOST_LINES).filter_map(check).collect();
    for (a, exact_a) in &quantities {
        for (b, exact_b) in &quantities {
            let order = a.cmp(b);
            assert_eq!(order, exact_a.nano.cmp(&exact_b.nano), "{a} and {b}");
            assert_eq!(a == b, order.is_eq(), "{a} and {b}");
            // Rounding up keeps the order of the numbers as written, and never turns it round.
            assert!(
                order.is_eq() || order == exact_a.exact.cmp(&exact_b.exact),
                "{a} and {b}"
            );
            check_sum(a, exact_a, b, exact_b);
        }
    }
});
