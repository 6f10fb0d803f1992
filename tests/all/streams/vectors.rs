//! The recorded streams, the server that plays them, and the providers that read them.
//! Refuses to look into a stream.

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures::StreamExt;
use offshoot::{
    Error, Kept, Message, Scope,
    provider::{
        Anthropic, Delta, Gemini, Ollama, OpenAi, OpenAiChat, Options, Provider, Request, Stop,
    },
    testing::{Answer, ModelServer, Reply, Script},
};
use serde_json::Value;

/// Whose stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Vendor {
    Anthropic,
    Responses,
    Chat,
    Gemini,
    Ollama,
}

impl Vendor {
    pub(super) const ALL: [Self; 5] = [
        Self::Anthropic,
        Self::Responses,
        Self::Chat,
        Self::Gemini,
        Self::Ollama,
    ];

    /// The name of its folder.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Responses => "openai-responses",
            Self::Chat => "openai-chat",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }

    /// These bytes as the body of a good answer.
    pub(super) fn reply(self, body: impl Into<Bytes>) -> Reply {
        match self {
            Self::Ollama => Reply::bytes("application/x-ndjson", body).chunked(),
            _ => Reply::sse(body),
        }
    }

    /// The real provider, asked at this address.
    pub(super) fn provider(self, url: &str) -> Arc<dyn Provider> {
        match self {
            Self::Anthropic => {
                Arc::new(Anthropic::builder("claude").base_url(url).build().unwrap())
            }
            Self::Responses => Arc::new(OpenAi::builder("gpt").base_url(url).build().unwrap()),
            Self::Chat => Arc::new(OpenAiChat::builder("gpt").base_url(url).build().unwrap()),
            Self::Gemini => Arc::new(Gemini::builder("gemini").base_url(url).build().unwrap()),
            Self::Ollama => Arc::new(Ollama::builder("llama").base_url(url).build().unwrap()),
        }
    }

    /// Where its events end: every place at which a cut leaves only whole events.
    pub(super) fn boundaries(self, body: &[u8]) -> Vec<usize> {
        let end: &[u8] = match self {
            Self::Ollama => b"\n",
            Self::Gemini => b"\r\n\r\n",
            _ => b"\n\n",
        };
        let ends = body.windows(end.len()).enumerate();
        ends.filter(|(_, window)| *window == end)
            .map(|(at, _)| at + end.len())
            .collect()
    }
}

/// One stream and what the vendor's SDK reads in it.
pub(super) struct Vector {
    pub(super) vendor: Vendor,
    pub(super) case: String,
    pub(super) body: Bytes,
    pub(super) expected: Value,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/streams")
}

fn json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every case of the manifest that is this vendor's.
pub(super) fn of(vendor: Vendor) -> Vec<Vector> {
    let manifest = json(&root().join("manifest.json"));
    let rows = manifest.as_array().unwrap().iter();
    rows.filter(|row| row["vendor"] == vendor.folder())
        .map(|row| {
            let case = row["case"].as_str().unwrap().to_owned();
            let body = std::fs::read(root().join(row["file"].as_str().unwrap())).unwrap();
            assert_eq!(row["bytes"], body.len(), "{case}");
            let expected = format!("{}/{case}.expected.json", vendor.folder());
            Vector {
                vendor,
                case,
                body: body.into(),
                expected: json(&root().join(expected)),
            }
        })
        .collect()
}

/// One case.
pub(super) fn one(vendor: Vendor, case: &str) -> Vector {
    let mut all = of(vendor).into_iter();
    all.find(|vector| vector.case == case).unwrap()
}

#[test]
fn no_case_has_vanished() {
    let count = |vendor| (vendor, of(vendor).len());
    let counts: BTreeMap<_, _> = Vendor::ALL.into_iter().map(count).collect();
    let expected = [
        (Vendor::Anthropic, 78),
        (Vendor::Responses, 69),
        (Vendor::Chat, 72),
        (Vendor::Gemini, 78),
        (Vendor::Ollama, 34),
    ];
    assert_eq!(counts, expected.into());
    let manifest = json(&root().join("manifest.json"));
    assert_eq!(manifest.as_array().unwrap().len(), 331);
    // Nor does a stream lie there that no list knows.
    for vendor in Vendor::ALL {
        let files = std::fs::read_dir(root().join(vendor.folder())).unwrap();
        assert_eq!(files.count(), 2 * counts[&vendor], "{vendor:?}");
    }
}

/// A server that plays what it is given, and says `done` when it has nothing left.
pub(super) struct Player {
    pub(super) server: ModelServer,
    queue: Arc<Mutex<VecDeque<Reply>>>,
}

impl Player {
    pub(super) fn start() -> Self {
        let queue = Arc::<Mutex<VecDeque<Reply>>>::default();
        let waiting = queue.clone();
        let script = Script::with(move |_| {
            let next = waiting.lock().unwrap().pop_front();
            next.unwrap_or_else(|| Reply::answer(Answer::text("done")))
        });
        Self {
            server: ModelServer::start(script),
            queue,
        }
    }

    /// What the next request gets. It comes at once: a vendor that answers twenty requests in a row
    /// with the same refusal would rightly be asked less and less often (row P9 in `retry`).
    pub(super) fn next(&self, reply: Reply) {
        self.server.forget_pace();
        self.queue.lock().unwrap().push_back(reply);
    }

    /// Nothing is left over for the next case.
    pub(super) fn assert_played(&self) {
        assert!(self.queue.lock().unwrap().is_empty());
    }
}

/// All that one try gives.
pub(super) async fn ask(provider: &dyn Provider) -> (Vec<Delta>, Option<Error>) {
    let (tools, options) = (Kept::new(Vec::new()), Options::default());
    let history = [Kept::new(Message::user("go"))];
    let request = Request {
        system: "",
        tools: &tools,
        history: (&history).into(),
        options: &options,
    };
    let mut stream = provider.stream(&request, &Scope::root()).unwrap();
    let mut deltas = Vec::new();
    while let Some(next) = stream.next().await {
        match next {
            Ok(delta) => deltas.push(delta),
            Err(error) => {
                assert!(stream.next().await.is_none(), "an error is the last word");
                return (deltas, Some(error));
            }
        }
    }
    let stops = deltas.iter().filter(|d| matches!(d, Delta::Stop { .. }));
    assert_eq!(stops.count(), 1, "one stop: {deltas:?}");
    assert!(matches!(deltas.last(), Some(Delta::Stop { .. })), "last");
    (deltas, None)
}

/// The vendor's end of an answer.
pub(super) fn stop(deltas: &[Delta]) -> Option<(&Stop, &str)> {
    match deltas.last() {
        Some(Delta::Stop { stop, raw }) => Some((stop, raw)),
        _ => None,
    }
}

/// Whether the whole proofs are run, which take long.
pub(super) fn full() -> bool {
    std::env::var("OFFSHOOT_PROOF").is_ok_and(|size| size == "full")
}

/// A small generator with a seed, so that every run takes the same places.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }
}
