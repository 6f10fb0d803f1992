//! Row P13: the vendors' recorded streams, split at every byte, give the same deltas.
//! Refuses sockets, which are too slow for it: framing and decoders are the real ones.

use std::path::Path;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde_json::Value;

use super::{
    Delta, anthropic,
    drive::{Decode, follow},
    gemini, ollama, openai,
};
use crate::{
    error::{Error, Result},
    http::{Chained, Framing, replay},
};

/// Every offset up to here is a split of its own.
const DENSE: usize = 4 << 10;
/// Beyond, so many offsets are drawn.
const DRAWN: usize = 64;

type Reading = (Vec<Delta>, Option<Error>);

/// On one runtime: the driver has a timer for what follows an answer's end.
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().unwrap()
}

async fn read<D: Decode>(framing: Framing, decoder: D, chunks: Vec<Bytes>) -> Reading {
    collect(follow(replay(framing, chunks), decoder)).await
}

async fn collect(stream: impl Stream<Item = Result<Delta>>) -> Reading {
    let mut deltas = Vec::new();
    let mut stream = std::pin::pin!(stream);
    while let Some(delta) = stream.next().await {
        match delta {
            Ok(delta) => deltas.push(delta),
            Err(error) => return (deltas, Some(error)),
        }
    }
    (deltas, None)
}

/// Where a stream of this length is split in two.
fn offsets(length: usize, seed: &mut u64) -> Vec<usize> {
    let full = std::env::var("OFFSHOOT_PROOF").is_ok_and(|size| size == "full");
    let dense = if full { length } else { length.min(DENSE) };
    let mut offsets: Vec<_> = (1..dense).collect();
    for _ in 0..if dense < length { DRAWN } else { 0 } {
        // Knuth's generator: the same places in every run.
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        offsets.push(dense + (*seed >> 33) as usize % (length - dense));
    }
    offsets
}

fn framing_of(vendor: &str) -> Framing {
    match vendor {
        "ollama" => Framing::Lines,
        _ => Framing::Sse,
    }
}

/// Splits every stream of a vendor; says how many there are.
fn split<D: Decode>(vendor: &str, decoder: impl Fn() -> D) -> usize {
    let runtime = runtime();
    let read = |chunks| runtime.block_on(read(framing_of(vendor), decoder(), chunks));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/streams");
    let manifest = std::fs::read(root.join("manifest.json")).unwrap();
    let manifest: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
    let (mut streams, mut splits, mut seed) = (0, 0, 20_261_120);
    for row in manifest.iter().filter(|row| row["vendor"] == vendor) {
        let case = &row["case"];
        let body = std::fs::read(root.join(row["file"].as_str().unwrap())).unwrap();
        let body = Bytes::from(body);
        let whole = read(vec![body.clone()]);
        let single = (0..body.len()).map(|at| body.slice(at..=at));
        assert_eq!(read(single.collect()), whole, "{case} in single bytes");
        for at in offsets(body.len(), &mut seed) {
            let chunks = vec![body.slice(..at), body.slice(at..)];
            let halves = read(chunks);
            assert!(
                halves == whole,
                "{case} split at {at}:\n{halves:?}\n{whole:?}"
            );
            splits += 1;
        }
        streams += 1;
    }
    assert!(
        splits > streams * 400,
        "{splits} splits of {streams} streams are too few"
    );
    streams
}

#[test]
fn p13_anthropic_at_every_split() {
    assert_eq!(split("anthropic", anthropic::decoder), 78);
}

#[test]
fn p13_openai_responses_at_every_split() {
    assert_eq!(split("openai-responses", openai::responses_decoder), 69);
}

#[test]
fn p13_openai_chat_at_every_split() {
    assert_eq!(split("openai-chat", openai::chat_decoder), 72);
}

#[test]
fn p13_gemini_at_every_split() {
    assert_eq!(split("gemini", gemini::decoder), 78);
}

#[test]
fn p13_ollama_at_every_split() {
    assert_eq!(split("ollama", ollama::decoder), 34);
}

/// The twin: a framer that forgets what the chunk before began.
#[test]
fn twin_p13_a_framer_without_memory_fails_the_proof() {
    let runtime = runtime();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/streams/openai-chat");
    let body = Bytes::from(std::fs::read(root.join("text.sse")).unwrap());
    let decoder = openai::chat_decoder;
    let whole = runtime.block_on(read(Framing::Sse, decoder(), vec![body.clone()]));
    let unnoticed = |at: &usize| {
        let halves = [body.slice(..*at), body.slice(*at..)];
        let [first, second] = halves.map(|half| replay(Framing::Sse, [half]));
        runtime.block_on(collect(follow(Chained(first, second), decoder()))) == whole
    };
    let unnoticed = (1..body.len()).filter(unnoticed).count();
    // Between two events nothing need be remembered, and some frames say nothing that is new.
    assert!(
        unnoticed > 0 && unnoticed * 4 < body.len(),
        "{unnoticed} of {}",
        body.len()
    );
}
