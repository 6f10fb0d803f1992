//! Row P12: recorded streams with bytes lost, doubled, swapped and put in end once, without a panic.
//! Refuses to say what a damaged stream means; only how reading it ends.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::StreamExt;
use serde_json::Value;

use super::{
    Delta, anthropic,
    drive::{Decode, follow},
    gemini, ollama, openai,
};
use crate::{
    error::{Error, ErrorKind, Result},
    http::{Framing, replay},
};

/// Damaged streams of each vendor; all five make a million of the full size.
const CASES: [u64; 2] = [300, 200_000];
/// Larger streams have nothing that the others have not.
const LARGEST: usize = 6 << 10;
/// Nothing takes longer than this.
const PATIENCE: Duration = Duration::from_secs(1);

/// Numbers that are the same in every run: a failure names the number it began with.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }
}

/// What breaks parsers when it stands where nobody expects it.
#[rustfmt::skip]
const SHARDS: [&str; 24] = [
    "\n", "\n\n", "\r", "\r\n\r\n", "data:", "data: ", "event: x\n", ": ", "\u{feff}", "{", "}", "[", "]",
    "\"", "\\", "\\u", "\\ud800", "null", "-1e999", "18446744073709551616", ",", "\0", "👍", "[DONE]",
];

/// Lines as no vendor should send them.
#[rustfmt::skip]
const HAND_MADE: [&str; 50] = [
    "", " ", "\0", "{", "}", "{}", "[", "[]", "[[]]", "[{}]", "null", "true", "7", "-0", "1e999", "NaN",
    "\"", "\"text\"", "{\"", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{'a':1}", "{a:1}", "{\"a\":1}{\"a\":2}",
    "{\"type\":null}", "{\"type\":7}", "{\"type\":\"\"}", "{\"type\":\"error\"}", "{\"type\":\"error\",\"error\":7}",
    "{\"error\":null}", "{\"error\":\"text\"}", "{\"error\":{}}", "{\"error\":{\"code\":\"x\",\"message\":[]}}",
    "{\"choices\":7}", "{\"choices\":[7]}", "{\"choices\":[{\"delta\":7}]}", "{\"candidates\":[{\"content\":7}]}",
    "{\"message\":7}", "{\"message\":{\"tool_calls\":7}}", "{\"done\":\"yes\"}", "{\"usage\":{\"input_tokens\":-1}}",
    "{\"index\":-1}", "{\"index\":1e30}", "{\"delta\":{\"text\":\"\\ud800\"}}", "\u{feff}{}", "[DONE", "[DONE]x",
    "data: {}",
];

fn bodies(vendor: &str) -> Vec<Bytes> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/streams");
    let manifest = std::fs::read(root.join("manifest.json")).unwrap();
    let manifest: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
    let own = manifest.iter().filter(|row| row["vendor"] == vendor);
    let body = |row: &Value| std::fs::read(root.join(row["file"].as_str().unwrap())).unwrap();
    let bodies = own.map(body).filter(|body| (1..LARGEST).contains(&body.len()));
    bodies.map(Bytes::from).collect()
}

/// A stream with one to four wounds, in up to four pieces.
fn damaged(bodies: &[Bytes], dice: &mut Dice) -> Vec<Bytes> {
    let mut body = bodies[dice.below(bodies.len())].to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(body.len());
        let end = at + dice.below((body.len() - at).min(40));
        match dice.below(6) {
            0 => drop(body.drain(at..end)),
            1 => body.truncate(at),
            2 => body[at] = dice.below(256) as u8,
            3 => {
                let again = body[at..end].to_vec();
                body.splice(at..at, again);
            }
            4 => body[at..end].reverse(),
            _ => {
                let shard = SHARDS[dice.below(SHARDS.len())];
                body.splice(at..at, shard.bytes());
            }
        }
        if body.is_empty() {
            break;
        }
    }
    let mut rest = Bytes::from(body);
    let mut pieces = Vec::new();
    for _ in 0..dice.below(4) {
        pieces.push(rest.split_to(dice.below(rest.len() + 1)));
    }
    pieces.push(rest);
    pieces
}

/// Reads to the end, and says what is wrong with how that is told.
async fn ends_once(
    framing: Framing,
    decoder: impl Decode,
    pieces: Vec<Bytes>,
) -> Result<(), String> {
    let mut stream = std::pin::pin!(follow(replay(framing, pieces), decoder));
    let (mut stops, mut errors) = (0, Vec::<Error>::new());
    while let Some(delta) = stream.next().await {
        if stops + errors.len() > 0 {
            return Err("something comes after the end".to_owned());
        }
        match delta {
            Ok(Delta::Stop { .. }) => stops += 1,
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
    }
    match errors.first() {
        Some(error) if matches!(error.kind(), ErrorKind::Bug | ErrorKind::Cancelled) => {
            Err(format!("a vendor's bytes are taken for ours: {error}"))
        }
        _ if stops + errors.len() != 1 => Err("there is no end".to_owned()),
        _ => Ok(()),
    }
}

/// Reads damaged streams; the first failure with what it came from.
fn survives<D: Decode>(vendor: &str, decoder: impl Fn() -> D) -> Result<(), String> {
    let framing = match vendor {
        "ollama" => Framing::Lines,
        _ => Framing::Sse,
    };
    let full = std::env::var("OFFSHOOT_PROOF").is_ok_and(|size| size == "full");
    let bodies = bodies(vendor);
    assert!(bodies.len() > 20, "{vendor}: {} streams", bodies.len());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let hand_made = HAND_MADE.iter().flat_map(|line| {
        let frame = match framing {
            Framing::Lines => format!("{line}\n"),
            _ => format!("data: {line}\n\n"),
        };
        let alone = vec![Bytes::from(frame.clone())];
        [alone, vec![Bytes::from(frame), bodies[0].clone()]]
    });
    let drawn = (0..CASES[usize::from(full)]).map(|number| damaged(&bodies, &mut Dice(number)));
    for (number, pieces) in hand_made.chain(drawn).enumerate() {
        let began = Instant::now();
        let reading = || runtime.block_on(ends_once(framing, decoder(), pieces.clone()));
        let told = catch_unwind(AssertUnwindSafe(reading)).unwrap_or(Err("a panic".to_owned()));
        let shown = || String::from_utf8_lossy(&pieces.concat()).into_owned();
        told.map_err(|wrong| format!("{vendor}, case {number}: {wrong}:\n{}", shown()))?;
        let took = began.elapsed();
        if took > PATIENCE {
            return Err(format!("{vendor}, case {number}: {took:?}:\n{}", shown()));
        }
    }
    Ok(())
}

#[test]
fn p12_damaged_anthropic_streams_end_once() {
    survives("anthropic", anthropic::decoder).unwrap();
}

#[test]
fn p12_damaged_openai_responses_streams_end_once() {
    survives("openai-responses", openai::responses_decoder).unwrap();
}

#[test]
fn p12_damaged_openai_chat_streams_end_once() {
    survives("openai-chat", openai::chat_decoder).unwrap();
}

#[test]
fn p12_damaged_gemini_streams_end_once() {
    survives("gemini", gemini::decoder).unwrap();
}

#[test]
fn p12_damaged_ollama_streams_end_once() {
    survives("ollama", ollama::decoder).unwrap();
}

/// A decoder that believes what it reads.
struct Believer;

impl Decode for Believer {
    fn frame(&mut self, _: &str, data: &str, out: &mut VecDeque<Delta>) -> Result<()> {
        let event: Value = serde_json::from_str(data).unwrap();
        let text = event["delta"]["text"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        out.push_back(Delta::Text { part: 0, text });
        Ok(())
    }
}

/// The twin: without errors of its own a decoder panics.
#[test]
fn twin_p12_a_decoder_that_believes_everything_fails_the_proof() {
    let wrong = survives("anthropic", || Believer).unwrap_err();
    assert!(wrong.contains("a panic"), "{wrong}");
}
