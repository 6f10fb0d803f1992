//! Real programs that hang, flood, fork, refuse and vanish, each with its figure.
//! Refuses fake children: what is killed here was alive.

use std::{path::Path, time::Duration};

use tokio::time::{Instant, timeout};

use super::*;
use crate::{id::AgentPath, scope::Phase};

/// What a figure may be off, beyond the times that are promised.
const SLACK: Duration = Duration::from_millis(500);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

async fn shell(line: &str, limits: Limits) -> Finished {
    let finished = run(&Scope::root(), Program::shell(line), limits).await;
    finished.unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Whether a process runs. One that is dead and not yet buried does not.
fn lives(pid: &str) -> bool {
    if Path::new("/proc/self/stat").exists() {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
        return state.is_some_and(|state| state != b'Z' && state != b'X');
    }
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::test_kill_process(pid).is_ok()
}

#[tokio::test]
async fn a_program_says_how_it_ended() {
    let done = shell("echo out; echo err >&2; exit 3", Limits::default()).await;
    assert_eq!((done.exit, done.stopped), (Exit::Code(3), None));
    assert_eq!(done.leftover, Leftover::Nothing);
    assert_eq!(
        (done.stdout.text(), done.stderr.text()),
        ("out\n".into(), "err\n".into())
    );
    let killed = shell("kill -9 $$", Limits::default()).await;
    assert_eq!(killed.exit, Exit::Signal(9));
    assert!(
        killed.took < SLACK,
        "nothing is waited for: {:?}",
        killed.took
    );
}

#[tokio::test]
async fn a_program_that_never_ends_is_ended_at_its_deadline() {
    let done = shell("sleep 1000", Limits::default().deadline(ms(300))).await;
    assert_eq!(
        (done.exit, done.stopped),
        (Exit::Signal(15), Some(Stopped::Deadline))
    );
    assert!(
        done.took >= ms(300) && done.took < ms(300) + SLACK,
        "{:?}",
        done.took
    );
}

#[tokio::test]
async fn a_program_that_will_not_be_asked_is_killed_after_the_grace() {
    let line = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let done = shell(line, Limits::default().deadline(ms(300))).await;
    assert_eq!(
        (done.exit, done.stopped),
        (Exit::Signal(9), Some(Stopped::Deadline))
    );
    assert_eq!(done.stdout.text(), "ready\n", "what it had said is kept");
    let promised = ms(300) + KILL_GRACE;
    assert!(
        done.took >= promised && done.took < promised + SLACK,
        "{:?}",
        done.took
    );
}

#[tokio::test]
async fn a_hundred_megabytes_are_counted_and_not_kept() {
    const ALL: u64 = 100_000_000;
    let line = format!("head -c {ALL} /dev/zero >&2 & head -c {ALL} /dev/zero; wait");
    let done = shell(&line, Limits::default().output(1000)).await;
    assert_eq!(done.exit, Exit::Code(0));
    for stream in [&done.stdout, &done.stderr] {
        assert_eq!(stream.bytes.len(), 1000);
        assert_eq!(stream.dropped, ALL - 1000);
        assert!(!stream.is_whole());
    }
    assert!(done.took < Duration::from_secs(20), "{:?}", done.took);
}

const GRANDCHILD: &str = "sleep 1000 & echo $!; exit 4";

#[tokio::test]
async fn a_grandchild_that_keeps_the_pipe_ends_with_its_group() {
    let done = shell(GRANDCHILD, Limits::default()).await;
    assert_eq!((done.exit, done.stopped), (Exit::Code(4), None));
    assert_eq!(done.leftover, Leftover::Ended);
    assert!(
        done.took >= SETTLE && done.took < SETTLE + SLACK,
        "{:?}",
        done.took
    );
    assert!(!lives(done.stdout.text().trim()));
}

/// The twin of the test above: what a plain command does with the same program.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "shows what the room defends against"
)]
async fn twin_without_a_group_a_grandchild_hangs_the_reader_and_survives() {
    let mut command = tokio::process::Command::new("sh");
    command
        .args(["-c", "sleep 3 & echo $! >&2; exit 4"])
        .kill_on_drop(true);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = tokio::io::BufReader::new(child.stderr.take().unwrap());
    let mut pid = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut line, &mut pid)
        .await
        .unwrap();
    let hung = timeout(SETTLE + SLACK, child.wait_with_output()).await;
    assert!(hung.is_err(), "the reader waits for the grandchild");
    assert!(lives(pid.trim()), "and the grandchild outlives the command");
}

#[cfg(target_os = "linux")] // elsewhere there is no `setsid` to flee by
#[tokio::test]
async fn a_grandchild_that_fled_the_group_hangs_nothing() {
    let line = "setsid sh -c 'sleep 3' & echo done; exit 0";
    let done = shell(line, Limits::default()).await;
    assert_eq!(
        (done.exit, done.leftover),
        (Exit::Code(0), Leftover::Beyond)
    );
    assert_eq!(done.stdout.text(), "done\n");
    let promised = SETTLE + LAST_READ;
    assert!(done.took < promised + SLACK, "{:?}", done.took);
}

#[tokio::test]
async fn a_daemon_that_closed_its_pipes_ends_with_its_group() {
    let line = "sh -c 'trap \"\" TERM; while :; do sleep 0.05; done' >/dev/null 2>&1 & echo $!";
    let done = shell(line, Limits::default().grace(ms(300))).await;
    assert_eq!((done.exit, done.leftover), (Exit::Code(0), Leftover::Ended));
    assert!(done.took < ms(300) + SLACK, "{:?}", done.took);
    assert!(!lives(done.stdout.text().trim()));
}

#[tokio::test]
async fn input_is_written_whole_also_to_a_late_reader() {
    let input = vec![7; 3_000_000];
    let late = Program::shell("sleep 0.3; wc -c").stdin(input.clone());
    let done = run(&Scope::root(), late, Limits::default()).await.unwrap();
    assert_eq!(done.stdout.text().trim(), "3000000");
    // The output may end before the input does.
    let quiet = Program::shell("exec 1>&- 2>&-; sleep 0.2; test $(wc -c) = 3000000").stdin(input);
    let done = run(&Scope::root(), quiet, Limits::default()).await.unwrap();
    assert_eq!(done.exit, Exit::Code(0));
    let none = run(&Scope::root(), Program::new("cat"), Limits::default())
        .await
        .unwrap();
    assert_eq!((none.exit, none.stdout.bytes), (Exit::Code(0), Vec::new()));
}

#[tokio::test]
async fn a_program_that_never_reads_its_input_keeps_its_deadline() {
    let input = vec![7; 3_000_000];
    let deaf = Program::shell("sleep 1000").stdin(input.clone());
    let done = run(&Scope::root(), deaf, Limits::default().deadline(ms(300)))
        .await
        .unwrap();
    assert_eq!(done.stopped, Some(Stopped::Deadline));
    assert!(done.took < ms(300) + SLACK, "{:?}", done.took);
    let gone = Program::shell("exit 5").stdin(input);
    let done = run(&Scope::root(), gone, Limits::default()).await.unwrap();
    assert_eq!(done.exit, Exit::Code(5), "a closed pipe is no failure");
}

#[tokio::test]
async fn bytes_arrive_as_they_are() {
    let done = shell(r"printf '\000\377\012\200'", Limits::default()).await;
    assert_eq!(done.stdout.bytes, [0, 255, 10, 128]);
    assert_eq!(done.stdout.text(), "\0\u{fffd}\n\u{fffd}");
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let start = async |program: Program| {
        let error = run(&Scope::root(), program, Limits::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        (
            error.to_string(),
            error.hint().unwrap_or_default().to_owned(),
        )
    };
    let (text, hint) = start(Program::new("no-such-program")).await;
    assert_eq!(text, "cannot start the program: `no-such-program`");
    assert!(hint.contains("No such file"), "{hint}");
    let lost = folder.path().join("lost");
    let (text, _) = start(Program::new("true").cwd(&lost)).await;
    assert_eq!(text, format!("no such folder: `{}`", lost.display()));
    let (text, hint) = start(Program::new(folder.path())).await;
    assert!(
        text.starts_with("cannot start the program") && hint.contains("denied"),
        "{hint}"
    );
    start(Program::new("true").arg("a\0b")).await;
}

#[tokio::test]
async fn folder_arguments_and_environment_are_as_told() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().canonicalize().unwrap();
    let program = Program::new("sh")
        .args(["-c", "pwd -P; echo \"$1\"; env", "sh", "a b $HOME"])
        .cwd(&place)
        .inherit_only(["PATH"])
        .env("GIVEN", "x");
    let done = run(&Scope::root(), program, Limits::default())
        .await
        .unwrap();
    let text = done.stdout.text();
    let mut lines = text.lines();
    assert_eq!(lines.next(), place.to_str());
    assert_eq!(lines.next(), Some("a b $HOME"));
    let names: Vec<_> = lines.map(|line| line.split('=').next().unwrap()).collect();
    assert!(
        names.contains(&"PATH") && names.contains(&"GIVEN"),
        "{names:?}"
    );
    assert!(
        !names.contains(&"HOME") && !names.contains(&"CARGO"),
        "{names:?}"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_program_has_a_session_of_its_own_and_no_terminal() {
    let done = shell("echo $$; cat /proc/$$/stat; true", Limits::default()).await;
    let text = done.stdout.text();
    let (pid, stat) = text.split_once('\n').unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    // state, parent, group, session, terminal
    assert_eq!((fields[2], fields[3], fields[4]), (pid, pid, "0"));
}

#[tokio::test]
async fn a_cancelled_scope_names_the_program_and_waits_until_it_is_gone() {
    let scope = Scope::root();
    let line = "trap '' TERM; echo $$; while :; do sleep 0.05; done";
    let running = tokio::task::LocalSet::new();
    let inside = scope.clone();
    let limits = Limits::default().grace(ms(300));
    let task = running.spawn_local(async move { run(&inside, Program::shell(line), limits).await });
    let (took, receipt) = running
        .run_until(async {
            tokio::time::sleep(ms(300)).await;
            let began = Instant::now();
            let receipt = scope.close().await;
            (began.elapsed(), receipt)
        })
        .await;
    let what = WaitFor::Process("sh".into());
    let stopped = receipt
        .stopped
        .first()
        .map(|s| (s.agent.clone(), s.phase.clone()));
    assert_eq!(stopped, Some((AgentPath::root(), Phase::Waiting(what))));
    assert!(took >= ms(300) && took < ms(300) + SLACK, "{took:?}");
    let done = running.run_until(task).await.unwrap().unwrap();
    assert_eq!(
        (done.exit, done.stopped),
        (Exit::Signal(9), Some(Stopped::Cancelled))
    );
    assert!(!lives(done.stdout.text().trim()));
    let late = run(&scope, Program::new("true"), Limits::default()).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn whoever_stops_waiting_ends_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let scope = Scope::root();
    let program = Program::shell("echo $$ >pid; sleep 1000 & wait").cwd(folder.path());
    let dropped = timeout(ms(300), run(&scope, program, Limits::default())).await;
    assert!(dropped.is_err());
    let began = Instant::now();
    scope.wait().await;
    assert!(began.elapsed() < SLACK, "{:?}", began.elapsed());
    let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
    assert!(!pid.trim().is_empty() && !lives(pid.trim()));
}

#[test]
fn a_runtime_that_ends_takes_its_programs_along() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let program = Program::shell("echo $$ >pid; trap '' TERM; sleep 1000 & wait").cwd(&place);
        let _ = timeout(ms(300), run(&Scope::root(), program, Limits::default())).await;
    });
    drop(runtime);
    let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
    let until = std::time::Instant::now() + SLACK;
    while lives(pid.trim()) && std::time::Instant::now() < until {
        std::thread::sleep(ms(5));
    }
    assert!(!lives(pid.trim()));
}
