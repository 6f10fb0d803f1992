//! The command on a real terminal while agents live: the lines it draws, and the prompt that waits.
//! Refuses to search in bytes: what a person sees is what the sequences leave on the screen.

use std::time::{Duration, Instant};

use offshoot::{
    Ground,
    testing::{Answer, Received, Reply, Script},
};
use serde_json::{Value, json};

use super::pty::{CTRL_C, CTRL_D, PATIENCE, Terminal, asking, serve, used};

/// What is on the screen after these bytes: the sequences that the command uses, and no others.
fn screen(bytes: &str) -> Vec<String> {
    let (mut rows, mut row) = (vec![String::new()], 0usize);
    // The place in the row, in characters.
    let mut column = 0;
    let mut rest = bytes.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => {
                assert_eq!(rest.next(), Some('['), "another kind of sequence");
                let mut code = String::new();
                let end = loop {
                    match rest.next() {
                        Some(c) if c.is_ascii_alphabetic() => break c,
                        Some(c) => code.push(c),
                        None => return rows, // cut off in the middle
                    }
                };
                match (code.as_str(), end) {
                    ("1", 'A') => row = row.saturating_sub(1),
                    ("2", 'K') => rows[row].clear(),
                    ("K" | "" | "0", 'K') => rows[row] = rows[row].chars().take(column).collect(),
                    (n, 'C') => column += n.parse::<usize>().unwrap_or(1),
                    // Colours, wrapping, pasting, the editor's own: nothing that words are moved by.
                    (_, 'm' | 'h' | 'l' | 'J' | 'n') => {}
                    other => panic!("not known to this screen: {other:?}"),
                }
            }
            '\r' => column = 0,
            '\n' => {
                row += 1;
                if row == rows.len() {
                    rows.push(String::new());
                }
            }
            c => {
                let mut line: Vec<char> = rows[row].chars().collect();
                line.resize(line.len().max(column), ' ');
                match line.get_mut(column) {
                    Some(place) => *place = c,
                    None => line.push(c),
                }
                column += 1;
                rows[row] = line.into_iter().collect();
            }
        }
    }
    rows
}

/// Waits until the screen shows what is looked for.
#[track_caller]
fn shows(terminal: &Terminal, what: &str, holds: impl Fn(&[String]) -> bool) -> Vec<String> {
    let began = Instant::now();
    loop {
        let rows = screen(&terminal.all());
        if holds(&rows) {
            return rows;
        }
        assert!(began.elapsed() < PATIENCE, "no {what}: {rows:#?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The row that begins with these words.
fn row<'a>(rows: &'a [String], start: &str) -> Option<&'a str> {
    let found = rows.iter().find(|row| row.trim_start().starts_with(start));
    found.map(String::as_str)
}

fn messages(request: &Received) -> Vec<Value> {
    let body = request.json();
    body["messages"].as_array().cloned().unwrap_or_default()
}

/// The first words of a conversation.
fn first(request: &Received) -> String {
    messages(request)[0].to_string()
}

fn last(request: &Received) -> String {
    let messages = messages(request);
    messages.last().map(Value::to_string).unwrap_or_default()
}

fn order(prompt: &str, kind: &str, ground: Ground) -> Value {
    json!({
        "description": format!("the task {prompt}"),
        "prompt": prompt,
        "subagent_type": kind,
        "run_in_background": ground == Ground::Background,
    })
}

fn stalls(words: &str) -> Reply {
    let words = format!("{words}, and then there would be more to say. ").repeat(30);
    Reply::answer(Answer::text(words)).stall_at(2_000)
}

/// Two children wait for their models; a third has ended.
fn three() -> Script {
    Script::with(|request| {
        let (first, length) = (first(request), messages(request).len());
        if first.contains("QUICK") {
            return Reply::answer(Answer::text("quick words").usage(used(40, 4)));
        }
        if first.contains("WRITER") || first.contains("LOOKER") {
            if length == 1 {
                let answer = Answer::empty().call("LS", json!({})).usage(used(70, 7));
                return Reply::answer(answer);
            }
            return match first.contains("WRITER") {
                true => stalls("It begins like this"),
                false => Reply::answer("never said").delay(Duration::from_secs(60)),
            };
        }
        let answer = Answer::text("I ask three.")
            .call("Agent", order("QUICK", "plan", Ground::Foreground))
            .call("Agent", order("LOOKER", "explore", Ground::Foreground))
            .call(
                "Agent",
                order("WRITER", "general-purpose", Ground::Background),
            )
            .usage(used(100, 10));
        Reply::answer(answer)
    })
}

#[test]
fn run_shows_a_line_for_each_living_agent_with_state_tokens_and_cost() {
    let dir = tempfile::tempdir().unwrap();
    let (_runtime, server) = serve(three());
    let mut terminal = Terminal::run(dir.path(), &["run", "go"], asking(&server));
    let looker = "root/explore/1 · explore: the task LOOKER · thinking · 77 tokens · $0.0";
    let writer = "root/general-purpose/1 · general-purpose, in the background: the task WRITER · \
        writing · 77 tokens · $0.0";
    let rows = shows(&terminal, "line for each", |rows| {
        row(rows, looker).is_some() && row(rows, writer).is_some()
    });
    // Below all that was said: the root's line, then theirs.
    let live = &rows[rows.len() - 3..];
    assert!(live[0].starts_with("turn 2 · "), "{rows:#?}");
    let tokens = "308 tokens"; // the root's, the quick one's, twice 77
    assert!(
        live[0].contains(tokens) && live[0].contains("$0.0"),
        "{rows:#?}"
    );
    assert!(live[1].contains("root/explore/1"), "{rows:#?}");
    assert!(live[2].contains("root/general-purpose/1"), "{rows:#?}");
    // Who has ended has no line and left a word.
    assert!(row(&rows, "root/plan/1 ·").is_none(), "{rows:#?}");
    let ended = row(&rows, "- root/plan/1: ok · 44 tokens · $0.0");
    assert!(ended.is_some(), "{rows:#?}");
    assert!(row(&rows, "+ root/explore/1: the task LOOKER").is_some());
    // What a child says is its parent's to read.
    let leaks = |rows: &[String]| rows.iter().any(|row| row.contains("It begins"));
    assert!(!leaks(&rows), "{rows:#?}");

    terminal.press(CTRL_C);
    assert_eq!(terminal.ended().code(), Some(130), "{:?}", terminal.all());
    let rows = screen(&terminal.all());
    for gone in ["turn 2 ·", "root/explore/1 ·", "root/general-purpose/1 ·"] {
        assert!(row(&rows, gone).is_none(), "{gone} stays: {rows:#?}");
    }
    assert!(
        rows.iter().any(|row| row.contains("cancelled")),
        "{rows:#?}"
    );
    assert!(!leaks(&rows), "{rows:#?}");
}

#[test]
fn more_agents_than_lines_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (_runtime, server) = serve(Script::with(|request| {
        if first(request).contains("PART") {
            return Reply::answer("never said").delay(Duration::from_secs(60));
        }
        let all = (0..20).fold(Answer::empty(), |answer, n| {
            answer.call(
                "Agent",
                order(&format!("PART {n}"), "explore", Ground::Foreground),
            )
        });
        Reply::answer(all)
    }));
    let mut terminal = Terminal::run(dir.path(), &["run", "go"], asking(&server));
    terminal.resize(16, 120);
    let rows = shows(&terminal, "count of the rest", |rows| {
        row(rows, "… 12 more").is_some()
    });
    // Sixteen lines, of which six are left free, one is the root's and one the count's.
    let live = rows
        .iter()
        .filter(|row| row.contains(" · explore: "))
        .count();
    assert_eq!(live, 8, "{rows:#?}");
    terminal.press(CTRL_C);
    assert_eq!(terminal.ended().code(), Some(130), "{:?}", terminal.all());
}

/// A helper in the background that looks and then takes its time.
fn helper(delay: u64) -> Script {
    Script::with(move |request| {
        let (first, last) = (first(request), last(request));
        if first.contains("HELP") {
            return match messages(request).len() {
                1 => Reply::answer(Answer::empty().call("LS", json!({})))
                    .delay(Duration::from_millis(300)),
                _ => Reply::answer("found it").delay(Duration::from_millis(delay)),
            };
        }
        Reply::answer(if last.contains("<note from") {
            Answer::text("I have heard of it.")
        } else if last.contains("tool_result") {
            Answer::text("It is being looked into.")
        } else if last.contains("typed words") {
            Answer::text("I have read them.")
        } else {
            Answer::empty().call("Agent", order("HELP", "explore", Ground::Background))
        })
    })
}

/// Where the prompt is, nothing else stands in its row.
fn waits(rows: &[String]) -> bool {
    rows.last().is_some_and(|row| row.trim_end() == ">")
}

#[test]
fn the_idle_prompt_makes_room_for_what_helpers_do_and_for_the_turn_that_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let (_runtime, server) = serve(helper(700));
    let mut terminal = Terminal::run(dir.path(), &["chat"], asking(&server));
    terminal.prompt();
    terminal.press("go\r");
    terminal.until("It is being looked into.");
    // Nobody types: the prompt stands there, and steps aside for each line.
    shows(&terminal, "prompt below a helper's line", |rows| {
        row(rows, "→ root/explore/1: LS {}").is_some() && waits(rows)
    });
    let rows = shows(&terminal, "prompt below the answer", |rows| {
        row(rows, "I have heard of it.").is_some() && waits(rows)
    });
    assert!(row(&rows, "- root/explore/1: ok").is_some(), "{rows:#?}");
    // No prompt was left behind among the lines.
    let left = rows[..rows.len() - 1].iter();
    let left: Vec<_> = left.filter(|row| row.trim_end() == ">").collect();
    assert!(left.is_empty(), "{rows:#?}");
    // The editor is there again.
    terminal.press("typed words\r");
    terminal.until("I have read them.");
    shows(&terminal, "prompt at the end", waits);
    terminal.press(CTRL_D);
    assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
}

#[test]
fn the_first_key_at_the_idle_prompt_is_not_lost_and_the_note_waits_for_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let (_runtime, server) = serve(helper(900));
    let mut terminal = Terminal::run(dir.path(), &["chat"], asking(&server));
    terminal.prompt();
    terminal.press("go\r");
    terminal.until("It is being looked into.");
    terminal.until("→ root/explore/1: LS {}");
    shows(&terminal, "idle prompt", waits);
    // The first key ends the idle prompt and is the editor's first letter.
    terminal.press("t");
    shows(&terminal, "the key", |rows| row(rows, "> t").is_some());
    terminal.press("yped");
    // The helper ends while the person writes; the line is not touched.
    std::thread::sleep(Duration::from_millis(1_500));
    let rows = screen(&terminal.all());
    assert!(row(&rows, "> typed").is_some(), "{rows:#?}");
    assert!(row(&rows, "I have heard").is_none(), "{rows:#?}");
    terminal.press(" words\r");
    shows(&terminal, "end of the helper", |rows| {
        row(rows, "- root/explore/1: ok").is_some()
    });
    shows(&terminal, "prompt at the end", waits);
    terminal.press(CTRL_D);
    assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
    // One turn reads the line and the note that came meanwhile.
    let asked = server.requests();
    let heard = asked
        .last()
        .map(|request| Value::from(messages(request)).to_string());
    let heard = heard.unwrap();
    assert!(heard.contains("\"typed words\""), "whole: {heard}");
    assert!(
        heard.contains("<note from"),
        "the note is read too: {heard}"
    );
}
