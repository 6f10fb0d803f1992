//! Small pieces of prose: figures with their units, names as code, other people's words in quotes.
//! Refuses to let what it is given end the frame it is put in.

/// Bytes of a quotation.
const MAX_QUOTE: usize = 300;

/// A number with its unit, such as `1,234 files`.
pub(super) fn count(n: u64, unit: &str) -> String {
    let plural = match (n, unit) {
        (1, unit) => unit.to_owned(),
        (_, "match") => "matches".to_owned(),
        (_, unit) => format!("{unit}s"),
    };
    format!("{} {plural}", figure(n))
}

/// A number with commas.
fn figure(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Somebody else's words, on one line and not too many.
pub(super) fn quote(text: &str) -> String {
    let line = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('”', "\"");
    let short = cut(&line, MAX_QUOTE);
    let more = if short.len() < line.len() { "…" } else { "" };
    format!("“{short}{more}”")
}

/// A name as code; neither backticks nor line ends in it can end the code.
pub(super) fn code(text: &str) -> String {
    let safe = text.replace(['\n', '\r'], "␤");
    match longest_run(&safe) {
        0 => format!("`{safe}`"),
        n => {
            let fence = "`".repeat(n + 1);
            format!("{fence} {safe} {fence}")
        }
    }
}

/// A block of code whose fence is longer than any in it.
pub(super) fn fenced(text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    format!("{fence}\n{text}\n{fence}")
}

/// How many backticks stand in a row at most.
fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// The first characters of a text, at most so many bytes.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A place in the middle of a sentence.
pub(super) fn uncapital(place: &str) -> &str {
    if place == "This folder" {
        "this folder"
    } else {
        place
    }
}

/// With a capital at its start.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_commas_and_units() {
        for (n, unit, expected) in [
            (0, "file", "0 files"),
            (1, "file", "1 file"),
            (1, "match", "1 match"),
            (999, "line", "999 lines"),
            (1_000, "match", "1,000 matches"),
            (1_234_567, "byte", "1,234,567 bytes"),
        ] {
            assert_eq!(count(n, unit), expected);
        }
    }

    #[test]
    fn nothing_ends_its_frame() {
        assert_eq!(code("a`b"), "`` a`b ``");
        assert_eq!(code("a``b"), "``` a``b ```");
        assert_eq!(code("a\nb"), "`a␤b`");
        assert_eq!(fenced("x\n````\ny"), "`````\nx\n````\ny\n`````");
        assert_eq!(quote(" a \n b ” c"), "“a b \" c”");
        assert!(quote(&"ü".repeat(500)).ends_with("…”"));
    }
}
