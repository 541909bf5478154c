//! Quantities against Kubernetes' own figures.

use proptest::prelude::*;

use super::*;

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap()
}

#[test]
fn values_are_those_of_kubernetes() {
    for (text, nano) in [
        ("0", 0),
        ("1", NANO),
        ("+1", NANO),
        ("1.", NANO),
        (".5", NANO / 2),
        ("100m", NANO / 10),
        ("1u", 1_000),
        ("1n", 1),
        ("0.1n", 1),
        ("1e-40", 1),
        ("1.5Ki", 1_536 * NANO),
        ("0.1Ki", 102_400_000_000),
        ("1Gi", (1 << 30) * NANO),
        ("2k", 2_000 * NANO),
        ("1E", 10_u128.pow(18) * NANO),
        ("1E3", 1_000 * NANO),
        ("1e+3", 1_000 * NANO),
        ("12e-1", 1_200_000_000),
        ("0e2000000000", 0),
        ("9223372036854775807", MAX_NANO),
        ("7Ei", (7 << 60) * NANO),
    ] {
        assert_eq!(quantity(text).nano, nano, "{text}");
    }
}

#[test]
fn other_texts_are_refused() {
    for text in [
        "", "+", ".", "1..2", "1.2.3", "Ki", "1ki", "1K", "1g", "1 Gi", "1e", "1e3Ki", "1e1.5", "٣", "1GiB",
    ] {
        assert_eq!(text.parse::<Quantity>(), Err(QuantityError::Syntax(text.into())));
    }
    for text in ["-1", "-0", "-"] {
        assert_eq!(
            text.parse::<Quantity>(),
            Err(QuantityError::Negative(text.into()))
        );
    }
    for text in [
        "9223372036854775808",
        "8Ei",
        "10E",
        "1e19",
        "1e2000000000",
        &"9".repeat(50),
    ] {
        assert_eq!(
            text.parse::<Quantity>(),
            Err(QuantityError::TooLarge(text.into()))
        );
    }
}

#[test]
fn compared_by_value_and_shown_as_written() {
    assert_eq!(quantity("1Gi"), quantity("1024Mi"));
    assert_ne!(quantity("1G"), quantity("1Gi"));
    assert!(quantity("999m") < quantity("1"));
    assert_eq!(quantity("1024Mi").to_string(), "1024Mi");
    assert!(quantity("0.000Ei").is_zero());
    assert!(!quantity("512m").is_whole());
    assert!(quantity("1.5Ki").is_whole());
}

#[test]
fn multiples_and_sums_are_written_as_kubernetes_writes_them() {
    // Kubernetes' `Quantity.String()` after `Mul` and `Add`.
    for (text, factor, product) in [
        ("1", 1, "1"),
        ("1500m", 1, "1500m"),
        ("1.50", 1, "1.50"),
        ("1", 2, "2"),
        ("500m", 2, "1"),
        ("250m", 8, "2"),
        ("1.5", 1000, "1500"),
        ("1000", 2, "2k"),
        ("1Gi", 2, "2Gi"),
        ("512Mi", 8, "4Gi"),
        ("1.5Gi", 4, "6Gi"),
        ("1.5Gi", 3, "4608Mi"),
        ("0.5Ki", 2, "1Ki"),
        ("0.25Ki", 2, "512"),
        ("0.1Ki", 100, "10Ki"),
        ("0.3Ki", 10, "3Ki"),
        ("0.7Ki", 3, "2150400m"),
        ("1e3", 4, "4e3"),
        ("1E3", 1000, "1e6"),
        ("12e-1", 2, "2400e-3"),
        ("1n", 8, "8n"),
        ("1u", 1000, "1m"),
        ("0", 8, "0"),
        ("1P", 8, "8P"),
    ] {
        let multiple = quantity(text).times(factor).unwrap();
        assert_eq!(multiple.to_string(), product, "{text} · {factor}");
        assert_eq!(multiple, quantity(product));
    }
    for (a, b, sum) in [
        ("1Gi", "512Mi", "1536Mi"),
        ("1", "1500m", "2500m"),
        ("1Gi", "1G", "2073741824"),
        ("1k", "1Ki", "2024"),
    ] {
        assert_eq!(
            quantity(a).plus(&quantity(b)).unwrap().to_string(),
            sum,
            "{a} + {b}"
        );
    }
    assert!(quantity("4Ei").times(2).is_none());
    assert!(quantity("9223372036854775807").plus(&quantity("1n")).is_none());
}

proptest! {
    #[test]
    fn arithmetic_is_exact(value in 0_u64..1 << 40, other in 0_u64..1 << 40, factor in 1_u32..=64, suffix in "|m|k|Ki|Mi|e3|e-3") {
        let (a, b) = (quantity(&format!("{value}{suffix}")), quantity(&format!("{other}m")));
        let (Some(product), Some(sum)) = (a.times(factor), a.plus(&b)) else {
            return Ok(());
        };
        prop_assert_eq!(product.nano, a.nano * u128::from(factor));
        prop_assert_eq!(sum.nano, a.nano + b.nano);
        // What is written says the same, and writing it again changes nothing.
        for result in [product, sum] {
            let text = result.to_string();
            prop_assert_eq!(&quantity(&text), &result);
            prop_assert_eq!(quantity(&text).with_value(result.nano).unwrap().to_string(), text);
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused_and_kept(text in "\\PC{0,24}|[+-]?[0-9.]{0,40}[eEinumkKMGTP]{0,2}[+-]?[0-9]{0,10}") {
        if let Ok(quantity) = text.parse::<Quantity>() {
            prop_assert_eq!(quantity.to_string(), text);
            prop_assert!(quantity.nano <= MAX_NANO);
        }
    }

    #[test]
    fn order_is_that_of_the_numbers(a in 0_u64..1 << 40, b in 0_u64..1 << 40) {
        prop_assert_eq!(quantity(&format!("{a}m")).cmp(&quantity(&format!("{b}m"))), a.cmp(&b));
        prop_assert_eq!(quantity(&format!("{a}Ki")), quantity(&(a * 1024).to_string()));
        prop_assert_eq!(quantity(&format!("{a}e-3")), quantity(&format!("{a}m")));
        prop_assert_eq!(quantity(&format!("{}.{:03}k", a / 1000, a % 1000)), quantity(&a.to_string()));
    }
}
