//! Row P14 by the memory of a process: an answer without end is refused before it is taken in.
//! Refuses to measure in a process where other tests live: each flood is read by one of its own.

#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    reason = "the reader is a process, the flood a thread"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
};

use futures::StreamExt;
use offshoot::{
    Error, ErrorKind, Kept, Message, Scope,
    provider::{Anthropic, Ollama, Options, Provider, Request},
};

use crate::kit::status_kib;

/// The largest event that is taken in.
const CAP_KIB: u64 = 16 << 10;
/// Longer than any cap, and short enough for a reader that has none.
const ENOUGH: u64 = 128 << 20;
/// Where the reader finds its flood; in the environment of that process only.
const FLOOD: &str = "OFFSHOOT_TEST_FLOOD";

/// What comes, over and over, after how it begins.
struct Flood {
    begins: &'static str,
    goes_on: Vec<u8>,
    times: u64,
    ends: &'static str,
}

impl Flood {
    /// Until nobody reads any more, or there was enough.
    fn endless(begins: &'static str, goes_on: impl Into<Vec<u8>>) -> Self {
        let goes_on = goes_on.into();
        let times = ENOUGH / goes_on.len() as u64;
        Self {
            begins,
            goes_on,
            times,
            ends: "",
        }
    }
}

/// Who reads.
#[derive(Clone, Copy)]
enum Reader {
    Anthropic,
    Ollama,
    /// The twin: a client that waits for the end of the line, whatever that takes.
    Patient,
}

/// What became of a flood.
#[derive(Debug)]
struct Told {
    /// How much larger the reader's process ever was than before.
    grown_kib: u64,
    /// What the reader said.
    end: String,
}

/// Lets a process of its own read this flood.
fn read(reader: Reader, flood: Flood) -> Told {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = match reader {
        Reader::Anthropic => "anthropic",
        Reader::Ollama => "ollama",
        Reader::Patient => "patient",
    };
    let where_from = format!("{name} {}", listener.local_addr().unwrap());
    std::thread::spawn(move || serve(&listener, reader, &flood));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "floods::reads_when_told_to", "--nocapture"])
        .env(FLOOD, where_from)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let line = said.lines().find_map(|line| line.strip_prefix("flood: "));
    let line = line.unwrap_or_else(|| panic!("{said}\n{}", String::from_utf8_lossy(&child.stderr)));
    let (grown, end) = line.split_once(' ').unwrap();
    Told {
        grown_kib: grown.parse().unwrap(),
        end: end.to_owned(),
    }
}

fn serve(listener: &TcpListener, reader: Reader, flood: &Flood) {
    let drop = Flood {
        begins: "data: {}\n\n",
        goes_on: Vec::new(),
        times: 0,
        ends: "",
    };
    answer(listener, reader, &drop);
    answer(listener, reader, flood);
}

fn answer(listener: &TcpListener, reader: Reader, flood: &Flood) {
    let (mut peer, _) = listener.accept().unwrap();
    // The request is small and whole; what it says does not matter.
    assert!(peer.read(&mut [0; 64 << 10]).unwrap() > 0);
    let kind = match reader {
        Reader::Ollama => "application/x-ndjson",
        _ => "text/event-stream",
    };
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: {kind}\r\n\r\n");
    let mut says = |bytes: &[u8]| peer.write_all(bytes);
    let begun = says(head.as_bytes()).and_then(|()| says(flood.begins.as_bytes()));
    // Whoever has enough closes.
    let gone_on = begun.and_then(|()| (0..flood.times).try_for_each(|_| says(&flood.goes_on)));
    let _ = gone_on.and_then(|()| says(flood.ends.as_bytes()));
}

/// The other process; in the one of the tests it has nothing to do.
#[test]
fn reads_when_told_to() {
    let Ok(flood) = std::env::var(FLOOD) else {
        return;
    };
    let (reader, address) = flood.split_once(' ').unwrap();
    let url = format!("http://{address}");
    let ask = || match reader {
        "anthropic" => asked(&Anthropic::builder("claude").base_url(&url).build().unwrap()),
        "ollama" => asked(&Ollama::builder("llama").base_url(&url).build().unwrap()),
        _ => patient(address),
    };
    // What a first request costs, the code of it included, is not what a flood costs.
    ask();
    let before = status_kib("VmRSS:");
    let end = ask();
    let grown = status_kib("VmHWM:").saturating_sub(before);
    println!("\nflood: {grown} {end}");
}

/// How the answer ends, read as every client of ours reads it.
fn asked(provider: &dyn Provider) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let (tools, options) = (Kept::new(Vec::new()), Options::default());
    let history = [Kept::new(Message::user("go"))];
    let request = Request {
        system: "",
        tools: &tools,
        history: (&history).into(),
        options: &options,
    };
    runtime.unwrap().block_on(async {
        let mut stream = provider.stream(&request, &Scope::root()).unwrap();
        let mut end = None;
        while let Some(delta) = stream.next().await {
            end = delta.err();
        }
        format!("{:?}", end.as_ref().map(Error::kind))
    })
}

fn patient(address: &str) -> String {
    let mut peer = TcpStream::connect(address).unwrap();
    peer.write_all(b"POST / HTTP/1.1\r\n\r\n").unwrap();
    let longest = BufReader::new(peer).lines().map(|line| line.unwrap().len());
    format!("{} MiB", longest.max().unwrap() >> 20)
}

fn refused() -> String {
    format!("{:?}", Some(ErrorKind::Limit))
}

fn assert_flat(told: &Told, what: &str) {
    println!("{what}: grew by {} KiB", told.grown_kib);
    assert!(told.grown_kib < 2 * CAP_KIB, "{what}: {told:?}");
}

#[test]
fn p14_an_endless_line_costs_less_than_two_caps() {
    let line = || vec![b'x'; 64 << 10];
    for (reader, begins) in [
        (Reader::Anthropic, "event: content_block_delta\ndata: "),
        (Reader::Anthropic, ""),
        (Reader::Ollama, "{\"message\":{\"content\":\""),
    ] {
        let told = read(reader, Flood::endless(begins, line()));
        assert_eq!(told.end, refused(), "{told:?}");
        assert_flat(&told, "an endless line");
    }
}

#[test]
fn p14_an_event_of_endless_lines_costs_less_than_two_caps() {
    let lines = format!("data: {}\n", "y".repeat(1000));
    let flood = Flood::endless("event: content_block_delta\n", lines);
    let told = read(Reader::Anthropic, flood);
    assert_eq!(told.end, refused(), "{told:?}");
    assert_flat(&told, "an event of endless lines");
}

/// An event just below the cap is held as a line, as an event and as what it says, and no more.
#[test]
fn p14_the_largest_event_costs_a_few_times_its_size() {
    let large = |begins, ends| Flood {
        begins,
        goes_on: vec![b'x'; 1 << 20],
        times: 15,
        ends,
    };
    let delta = "event: content_block_start\n\
        data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
        event: content_block_delta\n\
        data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"";
    let line = "{\"message\":{\"content\":\"";
    for (reader, flood, times) in [
        (Reader::Anthropic, large(delta, "\"}}\n\n"), 5),
        (Reader::Ollama, large(line, "\"}}\n"), 3),
    ] {
        let told = read(reader, flood);
        println!("an event of 15 MiB: grew by {} KiB", told.grown_kib);
        assert!(told.grown_kib < times * CAP_KIB, "{told:?}");
        // It was read: what is missing is the end.
        assert_eq!(told.end, format!("{:?}", Some(ErrorKind::Disconnected)));
    }
}

#[test]
fn p14_a_million_tiny_events_cost_nothing() {
    let flood = Flood {
        begins: "",
        goes_on: "event: new\ndata: {}\n\n".repeat(1000).into(),
        times: 1000,
        ends: "",
    };
    let told = read(Reader::Anthropic, flood);
    assert_eq!(told.end, format!("{:?}", Some(ErrorKind::Disconnected)));
    assert_flat(&told, "a million events");
    assert!(told.grown_kib < 4 << 10, "{told:?}");
}

/// The twin: the same flood, read to the end of the line.
#[test]
fn twin_p14_a_reader_without_a_cap_takes_all_of_it() {
    let flood = Flood::endless("data: ", vec![b'x'; 64 << 10]);
    let told = read(Reader::Patient, flood);
    assert_eq!(told.end, "128 MiB");
    assert!(told.grown_kib > 7 * CAP_KIB, "{told:?}");
}
