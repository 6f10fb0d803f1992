//! What the session log in a file costs: a step's append, a hundred sessions at once, a cold recall.
//! Refuses figures without a floor: each append stands beside bare rusqlite on the same disk.

#[path = "../shared/cpu.rs"]
mod cpu;
mod loops;
#[path = "../shared/memory.rs"]
mod memory;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use offshoot::{
    AgentPath, CallId, Cost, Event, EventKind, Message, Outcome, Part, RawJson, Role, SessionId,
    ToolCall, ToolResult, TurnId, Usage,
    store::{
        Batch, Body, Card, Claim, Claiming, LOG_FORMAT, LoggedEffect, PAGE_ROWS, Record, Row,
        SqliteStore, Store, Sum, recall,
    },
};
use rusqlite::Connection;

/// Steps of a run; the log of SQLite is written over more than once in it, on both sides.
const STEPS: usize = 2_000;
/// Sessions that write at the same time, and the steps of each.
const SESSIONS: usize = 100;
const EACH: usize = 10;
/// Records of the log that is recalled.
const RECORDS: u64 = 100_000;
/// Runs of each row, of which the median counts.
const RUNS: usize = 5;

fn main() {
    let mut args = std::env::args().skip(1);
    if let (Some("recall"), Some(path)) = (args.next().as_deref(), args.next()) {
        return recall_alone(Path::new(&path));
    }
    if let Some(side) = std::env::args().skip_while(|arg| arg != "only").nth(1) {
        return only(&side);
    }
    let quick = std::env::args().any(|arg| arg == "--quick");
    let runs = if quick { 1 } else { RUNS };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Beside the build, because a folder for temporary files may be in memory.
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    println!("| row | floor | offshoot | ratio | target |\n|---|--:|--:|--:|--:|");
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for run in 0..=runs {
        let steps = steps(STEPS);
        floor.push(floor_steps(
            &home.path().join(format!("floor{run}.db")),
            &steps,
        ));
        ours.push(runtime.block_on(our_steps(&home.path().join(format!("ours{run}")), steps)));
    }
    let each = 1e6 / STEPS as f64;
    rows(
        "append of a step, 4 records on the disk, µs",
        each,
        &floor,
        &ours,
    );
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for run in 0..=runs {
        let steps = steps(SESSIONS * EACH);
        floor.push(floor_steps(
            &home.path().join(format!("many{run}.db")),
            &steps,
        ));
        ours.push(runtime.block_on(our_sessions(&home.path().join(format!("many{run}")))));
    }
    let each = 1e6 / (SESSIONS * EACH) as f64;
    rows("100 sessions at once, a step, µs", each, &floor, &ours);
    recall_row(&runtime, home.path(), runs);
    loop_rows(home.path(), runs);
}

/// For a profiler: the steps of one side, once.
fn only(side: &str) {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Runtime::new();
    let took = match side {
        "floor" => floor_steps(&home.path().join("floor.db"), &steps(STEPS)),
        _ => runtime
            .unwrap()
            .block_on(our_steps(&home.path().join("ours"), steps(STEPS))),
    };
    println!("{took:?}");
}

/// Loops of tool calls that wait for the disk at each step, beside loops that do not.
fn loop_rows(home: &Path, runs: usize) {
    use offshoot::{Effect, store::Durability};
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (name, many, effect) in [
        (
            "50 turns of a tool that may be repeated, `Step` beside `Off`, ms",
            1,
            Effect::Pure,
        ),
        (
            "the same, a tool that must not be repeated",
            1,
            Effect::Once,
        ),
        ("100 sessions of 50 such turns at once", 100, Effect::Once),
    ] {
        let (mut floor, mut ours) = (Vec::new(), Vec::new());
        for run in 0..=runs {
            for (wait, out) in [(Durability::Off, &mut floor), (Durability::Step, &mut ours)] {
                let place = home.join(format!("loop-{many}-{effect:?}-{wait:?}-{run}"));
                let took = runtime.block_on(loops::run(&place, many, effect, wait));
                out.push((took, Duration::ZERO));
            }
        }
        row(name, 1e3, "1.2", wall(&floor), wall(&ours));
    }
}

/// The wall clock and the CPU of one run.
type Took = (Duration, Duration);

fn wall(took: &[Took]) -> Duration {
    median(took.iter().map(|took| took.0))
}

fn cpu_time(took: &[Took]) -> Duration {
    median(took.iter().map(|took| took.1))
}

/// The first run warms up.
fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.skip(1).collect();
    times.sort();
    times[times.len() / 2]
}

/// A row of elapsed time and one of CPU time.
fn rows(name: &str, scale: f64, floor: &[Took], ours: &[Took]) {
    row(name, scale, "1.3", wall(floor), wall(ours));
    let (floor, ours) = (cpu_time(floor), cpu_time(ours));
    row("the same, CPU µs", scale, "1.3", floor, ours);
}

fn row(name: &str, scale: f64, target: &str, floor: Duration, ours: Duration) {
    let ratio = ours.as_secs_f64() / floor.as_secs_f64();
    let (floor, ours) = (floor.as_secs_f64() * scale, ours.as_secs_f64() * scale);
    println!("| {name} | {floor:.1} | {ours:.1} | {ratio:.2} | {target} |");
}

/// The records of one step: what the model said, what it is about to do, what came of it, and an
/// event that watchers were told.
fn step(n: u64) -> Vec<Record> {
    let root = AgentPath::root();
    let call = CallId::new(format!("call_{n:016x}"));
    let input = RawJson::parse(&format!(
        r#"{{"path":"src/store/{n}.rs","offset":1,"limit":400}}"#
    ));
    let input = input.unwrap();
    let tool_call = ToolCall {
        id: call.clone(),
        name: "Read".into(),
        input: input.clone(),
        seal: None,
        malformed: None,
    };
    let words = "I shall look at the file first, because the tests name it. ".repeat(5);
    let mut message = Message::user("");
    message.role = Role::Assistant;
    message.parts = vec![
        Part::Text {
            text: words,
            seal: None,
        },
        Part::Call(tool_call.clone()),
    ];
    let content = format!("{n}: let mut rows = statement.query([])?;\n").repeat(40);
    let result = ToolResult::text(&tool_call, Outcome::Ok, content);
    let told = EventKind::ToolStart {
        call: call.clone(),
        name: "Read".into(),
        input: serde_json::from_str(input.as_str()).unwrap(),
    };
    let told = Event {
        seq: n,
        agent: root.clone(),
        parent: None,
        turn: TurnId(1),
        kind: told,
    };
    let bodies = [
        Body::Assistant {
            message,
            model: "claude-sonnet".into(),
            stop: "tool_use".into(),
            runs: true,
            usage: Some(Usage::default()),
            charged: Usage::default(),
            cost: Cost::default(),
        },
        Body::Intent {
            call,
            tool: "Read".into(),
            input,
            effect: LoggedEffect::Pure,
        },
        Body::Told(told),
        Body::Result { result, millis: 3 },
    ];
    let record = |body| Record::now(root.clone(), TurnId(1), body);
    bodies.into_iter().map(record).collect()
}

/// Adds records to a chain.
fn chain(end: &mut (u64, Sum), records: &[Record]) -> Vec<Row> {
    let row = |record: &Record| {
        let told = matches!(record.body, Body::Told(_));
        let body = record.encode().unwrap();
        let seq = end.0 + 1;
        *end = (seq, end.1.next(seq, told, &body));
        Row {
            seq,
            sum: end.1,
            told,
            body: body.into(),
        }
    };
    records.iter().map(row).collect()
}

fn steps(count: usize) -> Vec<Vec<Row>> {
    let mut end = (0, Sum::START);
    let steps = (0..count).map(|n| chain(&mut end, &step(n as u64)));
    steps.collect()
}

/// The same bytes into a bare table, a commit for each step.
fn floor_steps(path: &Path, steps: &[Vec<Row>]) -> Took {
    let conn = Connection::open(path).unwrap();
    conn.pragma_update(None, "journal_mode", "WAL").unwrap();
    conn.pragma_update(None, "synchronous", "FULL").unwrap();
    let table = "CREATE TABLE rows (at INTEGER PRIMARY KEY, told INTEGER, sum BLOB, body BLOB)";
    conn.execute_batch(table).unwrap();
    timed(|| {
        for step in steps {
            conn.prepare_cached("BEGIN IMMEDIATE")
                .unwrap()
                .execute([])
                .unwrap();
            let text = "INSERT INTO rows VALUES (?, ?, ?, ?)";
            let mut insert = conn.prepare_cached(text).unwrap();
            for row in step {
                let seq = row.seq.cast_signed();
                let values = (seq, row.told, row.sum.to_bytes(), &*row.body);
                insert.execute(values).unwrap();
            }
            conn.prepare_cached("COMMIT").unwrap().execute([]).unwrap();
        }
    })
}

fn batch(claim: &Claim, rows: Vec<Row>) -> Batch {
    let mut card = Card::new(claim.session.clone());
    card.title = "Make the tests of the store pass, and say what was wrong with them".into();
    card.model = "anthropic/claude-sonnet-4-5".into();
    card.folder = Some("/home/somebody/projects/offshoot".into());
    let sync = true;
    Batch { rows, sync, card }
}

async fn our_steps(path: &Path, steps: Vec<Vec<Row>>) -> Took {
    let store = SqliteStore::open(path).unwrap();
    let claim = store.claim(&SessionId::random(), Claiming::IfFree);
    let claim = claim.await.unwrap();
    let (wall, used) = (Instant::now(), cpu::counted());
    for step in steps {
        store.append(&claim, batch(&claim, step)).await.unwrap();
    }
    (wall.elapsed(), used())
}

async fn our_sessions(path: &Path) -> Took {
    let store = SqliteStore::open(path).unwrap();
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let claim = store.claim(&SessionId::random(), Claiming::IfFree);
        sessions.push((claim.await.unwrap(), steps(EACH)));
    }
    let (wall, used) = (Instant::now(), cpu::counted());
    let all = sessions.into_iter().map(async |(claim, steps)| {
        for step in steps {
            store.append(&claim, batch(&claim, step)).await.unwrap();
        }
    });
    futures::future::join_all(all).await;
    (wall.elapsed(), used())
}

/// Recalls a long log in a process that has done nothing else.
#[expect(clippy::disallowed_methods, reason = "a benchmark starts itself")]
fn recall_row(runtime: &tokio::runtime::Runtime, home: &Path, runs: usize) {
    let path = home.join("long");
    runtime.block_on(async {
        let store = SqliteStore::open(&path).unwrap();
        let id = SessionId::new("long");
        let claim = store.claim(&id, Claiming::IfFree).await.unwrap();
        let opened = Body::Opened {
            format: LOG_FORMAT,
            session: id,
            model: "anthropic/claude-sonnet-4-5".into(),
            version: "0".into(),
        };
        let mut end = (0, Sum::START);
        let mut records = vec![Record::now(AgentPath::root(), TurnId(1), opened)];
        for n in 0.. {
            records.extend(step(n));
            if records.len() >= PAGE_ROWS || end.0 + records.len() as u64 >= RECORDS {
                let rows = chain(&mut end, &std::mem::take(&mut records));
                store.append(&claim, batch(&claim, rows)).await.unwrap();
            }
            if end.0 >= RECORDS {
                break;
            }
        }
    });
    let mut found: Vec<(f64, f64)> = (0..runs)
        .map(|_| {
            let program = std::env::current_exe().unwrap();
            let mut alone = std::process::Command::new(program);
            let output = alone.arg("recall").arg(&path).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            let said = String::from_utf8(output.stdout).unwrap();
            let (millis, mib) = said.trim().split_once(' ').unwrap();
            (millis.parse().unwrap(), mib.parse().unwrap())
        })
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (millis, mib) = found[found.len() / 2];
    println!("| cold recall of 100,000 records, ms | - | {millis:.0} | | 1,000 |");
    println!("| its memory, MiB | - | {mib:.0} | | 128 |");
}

fn recall_alone(path: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let before = rss_mib();
    let began = Instant::now();
    let recalled = runtime.block_on(async {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path).unwrap());
        recall(&store, &SessionId::new("long")).await.unwrap()
    });
    let took = began.elapsed();
    assert!(recalled.last >= RECORDS && recalled.damage.is_none());
    println!("{} {}", took.as_secs_f64() * 1e3, rss_mib() - before);
}

fn timed(work: impl FnOnce()) -> Took {
    let (wall, used) = (Instant::now(), cpu::counted());
    work();
    (wall.elapsed(), used())
}

fn rss_mib() -> f64 {
    memory::rss_kib() / 1024.0
}
