//! What changed in a text, line by line, as Python's `difflib.unified_diff` writes it without lines of context.
//!
//! The longest run of equal lines is found first, then those before and behind it: the algorithm of Ratcliff and Obershelp
//! (Dr. Dobb's Journal, July 1988), with difflib's rule for lines that are everywhere. Another algorithm finds other runs,
//! and agents compare the text.

use std::collections::HashMap;

/// From how many lines on those that stand often are no beginning of a run.
const MANY: usize = 200;

/// The difference between two texts; empty if there is none.
pub(super) fn unified(old: &str, new: &str, path: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
    let mut lines: Vec<String> = Vec::new();
    for (a_lines, b_lines) in changes(&a, &b) {
        if lines.is_empty() {
            lines.push(format!("--- {path}"));
            lines.push(format!("+++ {path}"));
        }
        lines.push(format!("@@ -{} +{} @@", range(&a_lines), range(&b_lines)));
        lines.extend(a[a_lines].iter().map(|line| format!("-{line}")));
        lines.extend(b[b_lines].iter().map(|line| format!("+{line}")));
    }
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

type Range = std::ops::Range<usize>;

fn range(lines: &Range) -> String {
    match lines.len() {
        1 => format!("{}", lines.start + 1),
        0 => format!("{},0", lines.start),
        length => format!("{},{length}", lines.start + 1),
    }
}

/// A run of equal lines.
#[derive(Clone, Copy)]
struct Run {
    a: usize,
    b: usize,
    length: usize,
}

/// What is between the runs.
fn changes(a: &[&str], b: &[&str]) -> Vec<(Range, Range)> {
    let mut runs = runs(a, b);
    runs.push(Run {
        a: a.len(),
        b: b.len(),
        length: 0,
    });
    let (mut i, mut j) = (0, 0);
    let mut changes = Vec::new();
    for run in runs {
        if i < run.a || j < run.b {
            changes.push((i..run.a, j..run.b));
        }
        (i, j) = (run.a + run.length, run.b + run.length);
    }
    changes
}

fn runs(a: &[&str], b: &[&str]) -> Vec<Run> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, line) in b.iter().enumerate() {
        places.entry(line).or_default().push(place);
    }
    if b.len() >= MANY {
        let often = b.len() / 100 + 1;
        places.retain(|_, places| places.len() <= often);
    }
    let mut runs = Vec::new();
    let mut open = vec![(0..a.len(), 0..b.len())];
    while let Some((in_a, in_b)) = open.pop() {
        let run = longest(a, b, &places, &in_a, &in_b);
        if run.length == 0 {
            continue;
        }
        if in_a.start < run.a && in_b.start < run.b {
            open.push((in_a.start..run.a, in_b.start..run.b));
        }
        let (a_end, b_end) = (run.a + run.length, run.b + run.length);
        if a_end < in_a.end && b_end < in_b.end {
            open.push((a_end..in_a.end, b_end..in_b.end));
        }
        runs.push(run);
    }
    runs.sort_unstable_by_key(|run| (run.a, run.b));
    runs
}

/// The longest run, of several the first.
fn longest(a: &[&str], b: &[&str], places: &HashMap<&str, Vec<usize>>, in_a: &Range, in_b: &Range) -> Run {
    let mut best = Run {
        a: in_a.start,
        b: in_b.start,
        length: 0,
    };
    // How long the run is that ends with the line before, by the place in the other text.
    let mut lengths: HashMap<usize, usize> = HashMap::new();
    for i in in_a.clone() {
        let mut next = HashMap::new();
        let found = places.get(a[i]).map_or(&[][..], Vec::as_slice);
        let from = found.partition_point(|place| *place < in_b.start);
        for &j in found[from..].iter().take_while(|place| **place < in_b.end) {
            let before = j
                .checked_sub(1)
                .and_then(|before| lengths.get(&before))
                .copied()
                .unwrap_or(0);
            let length = before + 1;
            next.insert(j, length);
            if length > best.length {
                best = Run {
                    a: i + 1 - length,
                    b: j + 1 - length,
                    length,
                };
            }
        }
        lengths = next;
    }
    // Lines that are everywhere are part of a run, too.
    while best.a > in_a.start && best.b > in_b.start && a[best.a - 1] == b[best.b - 1] {
        best = Run {
            a: best.a - 1,
            b: best.b - 1,
            length: best.length + 1,
        };
    }
    while best.a + best.length < in_a.end
        && best.b + best.length < in_b.end
        && a[best.a + best.length] == b[best.b + best.length]
    {
        best.length += 1;
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each expectation is what Python 3.12 prints.
    #[test]
    fn as_difflib_has_it() {
        assert_eq!(unified("a\nb\n", "a\nb\n", "f"), "");
        assert_eq!(
            unified("", "a\nb\n", "f"),
            "--- f\n+++ f\n@@ -0,0 +1,2 @@\n+a\n+b"
        );
        assert_eq!(
            unified("a\nb\nc\n", "a\nx\ny\nc\n", "f"),
            "--- f\n+++ f\n@@ -2 +2,2 @@\n-b\n+x\n+y"
        );
        assert_eq!(
            unified("a\nb  \nc", "b  \nc\nd", "f"),
            "--- f\n+++ f\n@@ -1 +0,0 @@\n-a\n@@ -3,0 +3 @@\n+d"
        );
        assert_eq!(
            unified("a\nb \n", "a\nc \n", "f"),
            "--- f\n+++ f\n@@ -2 +2 @@\n-b\n+c"
        );
    }

    #[test]
    fn lines_that_are_everywhere_do_not_take_long() {
        let text = "same\n".repeat(20_000);
        let changed = format!("first\n{text}");
        assert_eq!(
            unified(&text, &changed, "f"),
            "--- f\n+++ f\n@@ -0,0 +1 @@\n+first"
        );
    }

    proptest! {
        #[test]
        fn the_changes_make_the_new_text(old in "[ab\\n]{0,40}", new in "[ab\\n]{0,40}") {
            let (a, b): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
            let (mut made, mut at) = (Vec::new(), 0);
            for (in_a, in_b) in changes(&a, &b) {
                made.extend_from_slice(&a[at..in_a.start]);
                made.extend_from_slice(&b[in_b]);
                at = in_a.end;
            }
            made.extend_from_slice(&a[at..]);
            prop_assert_eq!(made, b);
        }
    }
}
