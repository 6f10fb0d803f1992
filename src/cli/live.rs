//! A run's local socket: who asks there is told of its agents, in one line of JSON.
//! Refuses other users, long questions, and to be held up by whoever asks.

use std::{
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::timeout,
};

use super::exit;
use crate::{
    error::{Error, ErrorKind, Result},
    event::Ground,
    id::{AgentPath, SessionId},
    registry::{AgentRegistry, AgentRow, AgentState, Why},
    scope::Scope,
};

/// Bytes of a question.
const MAX_QUESTION: u64 = 4096;

/// Bytes of an answer.
const MAX_ANSWER: u64 = 32 * 1024 * 1024;

/// Agents that one answer names.
const MAX_AGENTS: usize = 10_000;

/// How long one question may take, on either side.
const PATIENCE: Duration = Duration::from_secs(2);

/// Questions that one run answers at once.
const MAX_ASKING: usize = 8;

/// Runs that are asked at once, and in all.
const ASKED_AT_ONCE: usize = 16;
const MAX_RUNS: usize = 1_000;

/// What the name of a socket ends with.
const ENDING: &str = "sock";

/// The socket of this run; gone when this is dropped.
#[derive(Debug)]
pub(super) struct Live {
    scope: Scope,
    path: PathBuf,
}

/// What a run says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) session: SessionId,
    pub(super) pid: u32,
    pub(super) model: String,
    pub(super) cwd: String,
    pub(super) agents: Vec<AgentLine>,
    /// Agents that were too many to be named.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) more: usize,
}

/// One living agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AgentLine {
    pub(super) path: AgentPath,
    pub(super) kind: String,
    pub(super) description: String,
    pub(super) state: String,
    pub(super) ground: Ground,
    pub(super) age_millis: u64,
    pub(super) unread: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<Waits>,
}

/// Why an agent has not ended yet.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Waits {
    /// What it says that it waits for.
    pub(super) waits: Vec<String>,
    /// Whose end it waits for.
    pub(super) on: Vec<AgentPath>,
    /// Its living children, which it cannot end before.
    pub(super) children: Vec<AgentPath>,
}

#[derive(Serialize, Deserialize)]
struct Question {
    ask: Ask,
    #[serde(default)]
    depth: Depth,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ask {
    Agents,
}

/// How much one wants to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Depth {
    /// Who lives.
    #[default]
    Who,
    /// And why it has not ended yet.
    Why,
}

impl Live {
    /// Listens for this session until it is dropped.
    ///
    /// # Errors
    /// When there is no folder for sockets that is this user's alone.
    pub(super) fn listen(session: &SessionId, model: &str, cwd: &Path) -> Result<Self> {
        let folder = make_folder()?;
        let path = folder.join(format!("{session}.{ENDING}"));
        // Whoever looks sees it only once somebody listens there.
        let draft = folder.join(format!(".{session}"));
        let failed = |error| exit::io(format!("cannot listen at `{}`", path.display()), error);
        let listener = UnixListener::bind(&draft).map_err(failed)?;
        let shown = std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600))
            .and_then(|()| std::fs::rename(&draft, &path));
        if let Err(error) = shown {
            std::fs::remove_file(&draft).ok();
            return Err(failed(error));
        }
        let about = Run {
            session: session.clone(),
            pid: std::process::id(),
            model: model.to_owned(),
            cwd: cwd.display().to_string(),
            agents: Vec::new(),
            more: 0,
        };
        let scope = Scope::root();
        scope.spawn(serve(scope.clone(), listener, Arc::new(about)));
        Ok(Self { scope, path })
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.scope.cancel();
        std::fs::remove_file(&self.path).ok();
    }
}

async fn serve(scope: Scope, listener: UnixListener, about: Arc<Run>) {
    let places = Arc::new(Semaphore::new(MAX_ASKING));
    while let Some(accepted) = scope.race(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: not again at once.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if !is_mine(&stream) {
            continue;
        }
        let Ok(place) = places.clone().try_acquire_owned() else {
            continue;
        };
        let about = about.clone();
        scope.spawn(async move {
            timeout(PATIENCE, answer(stream, &about)).await.ok();
            drop(place);
        });
    }
}

async fn answer(mut stream: UnixStream, about: &Run) -> io::Result<()> {
    let mut line = String::new();
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read.take(MAX_QUESTION));
    read.read_line(&mut line).await?;
    let answer = match serde_json::from_str::<Question>(&line) {
        Ok(Question {
            ask: Ask::Agents,
            depth,
        }) => serde_json::to_string(&told(about, depth)),
        Err(error) => serde_json::to_string(&serde_json::json!({
            "error": format!("not understood: {error}"),
        })),
    };
    let mut answer = answer.map_err(io::Error::other)?;
    answer.push('\n');
    write.write_all(answer.as_bytes()).await
}

/// The run as it is now.
fn told(about: &Run, depth: Depth) -> Run {
    let registry = AgentRegistry::global();
    let rows = registry.tree(&about.session);
    let mut whys = match depth {
        Depth::Who => Vec::new(),
        Depth::Why => registry.why(&about.session),
    };
    let more = rows.len().saturating_sub(MAX_AGENTS);
    let line = |row: AgentRow| {
        let at = whys.iter().position(|why| why.id == row.id);
        let why = at.map(|at| waits(whys.swap_remove(at)));
        AgentLine {
            state: state(&row.state).to_owned(),
            kind: row.kind.to_string(),
            description: row.description.to_string(),
            path: row.path,
            ground: row.ground,
            age_millis: row.age.as_millis().try_into().unwrap_or(u64::MAX),
            unread: row.unread,
            why,
        }
    };
    Run {
        agents: rows.into_iter().take(MAX_AGENTS).map(line).collect(),
        more,
        ..about.clone()
    }
}

fn waits(why: Why) -> Waits {
    Waits {
        waits: why.waits.iter().map(ToString::to_string).collect(),
        on: why.on,
        children: why.children,
    }
}

fn state(state: &AgentState) -> &'static str {
    match state {
        AgentState::Running => "running",
        AgentState::Waiting(_) => "waiting",
        AgentState::Finished => "finished",
        AgentState::Failed => "failed",
        AgentState::Cancelled => "cancelled",
    }
}

/// All runs of this user that answer, oldest first, and the names of those that do not.
pub(super) async fn runs(depth: Depth) -> (Vec<Run>, Vec<String>) {
    let mut sockets = Vec::new();
    for folder in folders().into_iter().filter(|folder| is_ours(folder)) {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        let paths = entries.flatten().map(|entry| entry.path());
        sockets.extend(paths.filter(|path| path.extension().is_some_and(|e| e == ENDING)));
    }
    // Names begin with the time, so this is their age.
    sockets.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    sockets.truncate(MAX_RUNS);
    let asked = futures::stream::iter(sockets)
        .map(|path| async move {
            let answer = timeout(PATIENCE, ask(&path, depth)).await;
            (path, answer)
        })
        .buffered(ASKED_AT_ONCE);
    let mut asked = std::pin::pin!(asked);
    let (mut runs, mut silent) = (Vec::new(), Vec::new());
    while let Some((path, answer)) = asked.next().await {
        match answer {
            Ok(Ok(run)) => runs.push(run),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                // Its run died without a chance to take it away.
                std::fs::remove_file(&path).ok();
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(Err(_)) | Err(_) => {
                let name = path.file_stem().unwrap_or_default();
                silent.push(name.to_string_lossy().into_owned());
            }
        }
    }
    runs.retain(|run: &Run| !run.agents.is_empty());
    (runs, silent)
}

async fn ask(path: &Path, depth: Depth) -> io::Result<Run> {
    let mut stream = UnixStream::connect(path).await?;
    if !is_mine(&stream) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let ask = Ask::Agents;
    let mut question = serde_json::to_string(&Question { ask, depth })?;
    question.push('\n');
    stream.write_all(question.as_bytes()).await?;
    let mut line = String::new();
    let mut read = BufReader::new(stream.take(MAX_ANSWER));
    read.read_line(&mut line).await?;
    Ok(serde_json::from_str(&line)?)
}

fn is_mine(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == user())
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Where sockets may be, the better place first.
fn folders() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.filter(|folder| folder.is_absolute());
    let temp = std::env::temp_dir().join(format!("offshoot-{}", user()));
    let runtime = runtime.map(|folder| folder.join("offshoot"));
    runtime.into_iter().chain([temp]).collect()
}

/// The first of the places that can be had for this user alone.
fn make_folder() -> Result<PathBuf> {
    let folders = folders();
    for folder in &folders {
        // Where it cannot be made, the look says whether it is there.
        let made = std::fs::DirBuilder::new().mode(0o700).create(folder);
        if (made.is_ok() || folder.exists()) && is_ours(folder) {
            return Ok(folder.clone());
        }
    }
    let named: Vec<_> = folders.iter().map(|f| f.display().to_string()).collect();
    Err(Error::new(
        ErrorKind::Io,
        format!(
            "no folder for sockets is this user's alone: `{}`",
            named.join("`, `")
        ),
    ))
}

/// Whether this is a folder, no link, that nobody else can enter.
fn is_ours(folder: &Path) -> bool {
    std::fs::symlink_metadata(folder)
        .is_ok_and(|meta| meta.is_dir() && meta.uid() == user() && meta.mode() & 0o077 == 0)
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}
