//! Redaction against encoders that are not ours, whole and in pieces.
//! Refuses to use the spellings under test as their own measure.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
};

use super::*;

/// Canaries of the shapes that keys have, and some that no encoder leaves alone.
fn canaries() -> Vec<String> {
    let mut out: Vec<String> = [
        "sk-ant-api03-Zx81_Qw-9kLmN",
        "sk-proj-abc/def+ghi==",
        "AIzaSyD4~tilde.dot-dash_under",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "pass word with spaces & signs?",
        "quote\"and\\backslash",
        "line\nbreak\tand tab",
        "pässwörd-mit-ümläuten",
        "密码是很长的一个秘密",
        "emoji 🔑🔒 key",
        "<html>&amp;'single'</html>",
        "abcdefgh",
        "efghijkl",
        "aaaaaaaaaa",
        "0123456789abcdef0123456789abcdef",
        "per%cent%20already",
        "!~*'()-_.safe",
    ]
    .map(str::to_owned)
    .to_vec();
    out.push(format!(
        "-----BEGIN KEY-----\n{}\n-----END KEY-----",
        "MIIEvQ/+".repeat(8)
    ));
    out.push("x".repeat(200) + "long");
    out
}

fn knowing(secrets: &[String]) -> Redactor {
    let mut redactor = Redactor::new();
    for secret in secrets {
        redactor.add(secret).unwrap();
    }
    redactor
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Texts that give the secret away to whoever decodes them, made by other people's encoders.
fn leaks(secret: &str) -> Vec<(&'static str, String)> {
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let form: String = url_form(secret);
    let mut out = vec![
        ("raw", format!("key={secret};")),
        ("hex", hex(secret.as_bytes())),
        ("HEX", hex(secret.as_bytes()).to_uppercase()),
        ("json", json(secret)),
        ("json in json", json(&json(secret))),
        ("form", format!("a=1&key={form}&b=2")),
        ("path", format!("/x/{}/y", form.replace('+', "%20"))),
    ];
    for before in ["", "u", "us", "user:", "\u{1}\u{2}\u{3}\u{4}"] {
        for after in ["", "!", "!!", "@host"] {
            let text = format!("{before}{secret}{after}");
            out.push(("base64", STANDARD.encode(&text)));
            out.push(("base64url", URL_SAFE.encode(&text)));
            out.push(("base64url bare", URL_SAFE_NO_PAD.encode(&text)));
        }
    }
    out
}

fn url_form(text: &str) -> String {
    let mut url = reqwest::Url::parse("http://h/").unwrap();
    url.query_pairs_mut().append_pair("k", text);
    url.query().unwrap().strip_prefix("k=").unwrap().to_owned()
}

/// Whether some run of the secret's own bytes, eight or more, can be read out of the text.
fn shows(text: &str, secret: &str) -> bool {
    let text = text.as_bytes();
    secret
        .as_bytes()
        .windows(8)
        .any(|run| text.windows(8).any(|other| other == run))
}

/// As [`shows`], after decoding all that looks like base64, at every phase.
fn shows_decoded(text: &str, secret: &str) -> bool {
    let standard = text.replace('-', "+").replace('_', "/");
    let runs = standard.split(|c: char| !c.is_ascii_alphanumeric() && c != '+' && c != '/');
    for run in runs.filter(|run| run.len() >= 4) {
        for skip in 0..4.min(run.len()) {
            let run = &run[skip..];
            let whole = &run[..run.len() / 4 * 4];
            if let Ok(bytes) = STANDARD.decode(whole)
                && secret
                    .as_bytes()
                    .windows(8)
                    .any(|s| bytes.windows(8).any(|other| other == s))
            {
                return true;
            }
        }
    }
    false
}

#[test]
fn every_spelling_of_every_canary_is_found() {
    let canaries = canaries();
    let redactor = knowing(&canaries);
    for secret in &canaries {
        for (how, leak) in leaks(secret) {
            let clean = redactor.redact(&leak);
            assert!(clean.contains(REDACTED), "{how} of {secret}: {clean}");
            assert!(!shows(&clean, secret), "{how} of {secret}: {clean}");
            assert!(!shows_decoded(&clean, secret), "{how} of {secret}: {clean}");
            if how.starts_with("hex") || how.starts_with("HEX") {
                assert_eq!(clean, REDACTED, "{how}");
            }
        }
    }
}

#[test]
fn the_measure_of_leaks_sees_leaks() {
    let secret = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    assert!(shows(&format!("a{secret}"), secret));
    for before in ["", "x", "xx"] {
        assert!(shows_decoded(
            &STANDARD.encode(format!("{before}{secret}")),
            secret
        ));
        assert!(shows_decoded(
            &URL_SAFE_NO_PAD.encode(format!("{before}{secret}")),
            secret
        ));
    }
}

#[test]
fn innocent_text_is_not_touched_or_copied() {
    let redactor = knowing(&canaries());
    let text = "nothing here, not even abcdefg or sk-ant-api03";
    assert!(matches!(redactor.redact(text), Cow::Borrowed(same) if same == text));
    assert!(matches!(Redactor::new().redact(text), Cow::Borrowed(_)));
    assert_eq!(redactor.redact("ä abcdefgh ö"), "ä [redacted] ö");
}

#[test]
fn overlapping_secrets_are_one_and_neighbours_are_two() {
    let redactor = knowing(&["abcdefgh".to_owned(), "efghijkl".to_owned()]);
    assert_eq!(redactor.redact("<abcdefghijkl>"), "<[redacted]>");
    assert_eq!(
        redactor.redact("<abcdefghabcdefgh>"),
        "<[redacted][redacted]>"
    );
}

#[test]
fn secrets_are_refused_by_their_size_and_never_shown() {
    let mut redactor = Redactor::new();
    assert_eq!(redactor.add("1234567"), Err(SecretRefused::TooShort));
    assert_eq!(
        redactor.add("éééé"),
        Err(SecretRefused::TooShort),
        "letters, not bytes"
    );
    assert_eq!(
        redactor.add(&"x".repeat(MAX_SECRET_BYTES + 1)),
        Err(SecretRefused::TooLong)
    );
    redactor.add("12345678").unwrap();
    redactor.add("12345678").unwrap();
    assert!(!format!("{redactor:?}").contains("12345678"));
    let full =
        (0..).find_map(|n: usize| redactor.add(&format!("{n:08}{}", "y".repeat(8_000))).err());
    assert_eq!(full, Some(SecretRefused::TooMany));
    assert_eq!(
        redactor.redact("a12345678b"),
        "a[redacted]b",
        "those taken on still work"
    );
}

#[test]
fn variables_are_secrets_by_their_names() {
    let rows = [
        ("ANTHROPIC_API_KEY", "key-one-value"),
        ("github_token", "token-two-value"),
        ("AWS_SECRET_ACCESS_KEY", "three-secret-value"),
        ("DB_PASSWORD", "four-password"),
        ("MAX_TOKENS", "innocent-number"),
        ("HOME", "/home/somebody"),
        ("X_TOKEN", "short"),
    ];
    let rows = rows.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let redactor = Redactor::from_variables(rows.iter().cloned());
    for (name, value) in &rows {
        let hidden = redactor.redact(value) == REDACTED;
        assert_eq!(
            hidden,
            !["MAX_TOKENS", "HOME", "X_TOKEN"].contains(&name.as_str()),
            "{name}"
        );
    }
}

/// All canaries in all spellings, with innocent beginnings of secrets between them.
fn long_text() -> String {
    let mut text = String::new();
    for secret in canaries() {
        for (_, leak) in leaks(&secret).into_iter().take(10) {
            text.push_str(&leak);
            let start = (0..8).rfind(|end| secret.is_char_boundary(*end)).unwrap();
            text.push_str(&secret[..start]);
            text.push(' ');
        }
    }
    text + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabcdefghijkl sk-ant"
}

#[test]
fn every_split_gives_what_the_whole_gives() {
    let redactor = knowing(&canaries());
    let text = long_text();
    let whole = redactor.redact(&text);
    for secret in canaries() {
        assert!(!shows(&whole, &secret), "{secret}");
    }
    let cuts: Vec<usize> = (0..=text.len())
        .filter(|at| text.is_char_boundary(*at))
        .collect();
    // Splitting a long text at each place is quadratic; a window around each cut shows the same.
    for at in cuts {
        let start = (0..=at.saturating_sub(400))
            .rfind(|i| text.is_char_boundary(*i))
            .unwrap_or(0);
        let end = (text.len().min(at + 400)..=text.len()).find(|i| text.is_char_boundary(*i));
        let (head, tail) = (&text[start..at], &text[at..end.unwrap_or(text.len())]);
        let mut stream = redactor.stream();
        let mut out = stream.push(head);
        let shown = out.clone();
        out.push_str(&stream.push(tail));
        out.push_str(&stream.finish());
        let whole = redactor.redact(&text[start..end.unwrap_or(text.len())]);
        assert_eq!(out, whole, "split at {at}");
        assert!(
            whole.starts_with(&shown),
            "what was shown is never taken back"
        );
    }
}

#[test]
fn pieces_of_any_size_give_what_the_whole_gives() {
    let redactor = knowing(&canaries());
    let text = long_text();
    let whole = redactor.redact(&text);
    for size in [1, 2, 3, 7, 8, 9, 64, 1_000] {
        let mut stream = redactor.stream();
        let mut out = String::new();
        let mut piece = String::new();
        for letter in text.chars() {
            piece.push(letter);
            if piece.chars().count() == size {
                out.push_str(&stream.push(&piece));
                piece.clear();
            }
        }
        out.push_str(&stream.push(&piece));
        out.push_str(&stream.finish());
        assert_eq!(out, whole, "pieces of {size}");
    }
}

#[test]
fn a_stream_holds_back_only_what_may_be_a_secret() {
    let redactor = knowing(&["abcdefgh".to_owned(), "aaaaaaaaaa".to_owned()]);
    let mut stream = redactor.stream();
    assert_eq!(stream.push("hello "), "hello ");
    assert_eq!(stream.push("abc"), "");
    assert_eq!(stream.push("x"), "abcx");
    assert_eq!(stream.push("abcdefgh"), "[redacted]");
    // A run that never ends is replaced once, and nothing piles up.
    let mut out = String::new();
    for _ in 0..10_000 {
        out.push_str(&stream.push("aaaa"));
        assert!(stream.held.len() < 64);
    }
    out.push_str(&stream.finish());
    assert_eq!(out, REDACTED);
}
