//! The spellings in which a secret turns up once some program has encoded it.
//! Refuses to decode text: whatever is found is found by its spelling.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// Every spelling of a secret, itself first. Some may be the same.
pub(super) fn all(secret: &str) -> Vec<String> {
    let mut out = vec![secret.to_owned()];
    let bytes = secret.as_bytes();
    for phase in 0..3 {
        out.push(base64(&STANDARD_NO_PAD, bytes, phase));
        out.push(base64(&URL_SAFE_NO_PAD, bytes, phase));
    }
    let lower: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    out.push(lower.to_ascii_uppercase());
    out.push(lower);
    for plain in ["-_.~", "-_.!~*'()", "-_.*"] {
        for space in ["%20", "+"] {
            let upper = percent(bytes, plain, space);
            out.push(upper.to_owned());
            out.push(lower_escapes(&upper));
        }
    }
    for escaped in json(secret) {
        // Text within JSON within JSON, such as the arguments of a call in a log line.
        out.extend(json(&escaped));
        out.push(escaped);
    }
    out
}

/// The characters of base64 that the secret alone decides, when `phase` other bytes stand before it
/// in a group of three.
fn base64(engine: &impl Engine, secret: &[u8], phase: usize) -> String {
    let mut padded = vec![0; phase];
    padded.extend_from_slice(secret);
    let mut text = engine.encode(&padded);
    if !padded.len().is_multiple_of(3) {
        text.pop(); // its lower bits belong to what follows
    }
    let shared = [0, 2, 3][phase];
    text.split_off(shared)
}

fn percent(bytes: &[u8], plain: &str, space: &str) -> String {
    let mut out = String::new();
    for byte in bytes {
        match char::from(*byte) {
            ' ' => out.push_str(space),
            letter if letter.is_ascii_alphanumeric() || plain.contains(letter) => out.push(letter),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The same with `%2f` instead of `%2F`.
fn lower_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut digits = 0;
    for letter in text.chars() {
        if letter == '%' {
            digits = 3;
        }
        out.push(if digits > 0 {
            letter.to_ascii_lowercase()
        } else {
            letter
        });
        digits = usize::saturating_sub(digits, 1);
    }
    out
}

/// As JSON writers put it between quotes: the least escapes, `/` escaped, all but ASCII escaped.
fn json(text: &str) -> Vec<String> {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let least = quoted
        .get(1..quoted.len().saturating_sub(1))
        .unwrap_or_default();
    let mut ascii = String::with_capacity(least.len());
    for letter in least.chars() {
        if letter.is_ascii() {
            ascii.push(letter);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    let slashes = ascii.replace('/', "\\/");
    let html = ascii
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026");
    vec![
        least.to_owned(),
        least.replace('/', "\\/"),
        slashes,
        html,
        ascii,
    ]
}
