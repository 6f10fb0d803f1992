//! What the command line says of the session's log: a new one, one that goes on, or none.
//! Refuses to lose a session silently: where no log can be kept, that is said.

use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{find, home};
use crate::{
    error::{Error, ErrorKind, Result},
    id::SessionId,
    redact::Redactor,
    session::{Session, SessionBuilder},
    store::{Card, Claiming, Doubt, Durability, LostChildren, Store},
};

/// What is wanted of the log.
pub(super) struct Wanted {
    begin: Begin,
    /// `None` keeps nothing.
    durability: Option<Durability>,
    doubt: Doubt,
    children: LostChildren,
}

enum Begin {
    Fresh,
    /// The newest session of the folder.
    Continue,
    Resume(Goes),
    Fork {
        from: SessionId,
        at: Option<u64>,
    },
}

/// A session that goes on.
struct Goes {
    name: String,
    take_over: bool,
}

/// A store that was opened, and the session that goes on in it.
pub(super) struct Found {
    pub(super) store: Arc<dyn Store>,
    pub(super) card: Card,
}

/// Where the session's log is kept.
pub(super) struct Shelf {
    store: Arc<dyn Store>,
    id: SessionId,
}

/// The flags of every verb that runs an agent.
pub(super) fn arguments(command: Command) -> Command {
    let value = |name: &'static str, metavar: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(metavar).help(help)
    };
    command
        .arg(
            value("log", "WHEN", "When the session's log is safe on the disk")
                .value_parser(["step", "turn", "off", "none"])
                .default_value("step")
                .long_help(
                    "When the session's log is safe on the disk: after each step, at the end of \
                     each turn, whenever the system pleases, or `none` to keep no log",
                ),
        )
        .arg(
            value("on-doubt", "WHAT", "A call that a death may have cut short")
                .value_parser(["report", "ask"])
                .default_value("report")
                .long_help(
                    "What becomes of a call that must not run twice, when a death has left unknown \
                     whether it took effect: the model reads of it, or you are asked",
                ),
        )
        .arg(
            value("lost-agents", "WHAT", "Helpers that a death has stopped")
                .value_parser(["report", "restart"])
                .default_value("report")
                .long_help(
                    "What becomes of helpers that were waited for: the model reads that they were \
                     stopped, or they go on where they were",
                ),
        )
        .arg(
            Arg::new("take-over")
                .long("take-over")
                .action(ArgAction::SetTrue)
                .help("Go on also when another process writes the session, which then cannot"),
        )
}

/// The flags of those that also begin new sessions.
pub(super) fn beginning(command: Command) -> Command {
    arguments(command)
        .arg(
            Arg::new("resume")
                .long("resume")
                .value_name("ID")
                .help("Go on with this session"),
        )
        .arg(
            Arg::new("continue")
                .long("continue")
                .short('c')
                .action(ArgAction::SetTrue)
                .conflicts_with("resume")
                .help("Go on with the newest session of this folder"),
        )
}

impl Wanted {
    fn with(matches: &ArgMatches, begin: Begin) -> Self {
        let word = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
        Self {
            begin,
            durability: match word("log") {
                "none" => None,
                "off" => Some(Durability::Off),
                "turn" => Some(Durability::Turn),
                _ => Some(Durability::Step),
            },
            doubt: match word("on-doubt") {
                "ask" => Doubt::Ask,
                _ => Doubt::Report,
            },
            children: match word("lost-agents") {
                "restart" => LostChildren::Restart,
                _ => LostChildren::Report,
            },
        }
    }

    /// Of a verb with the flags of [`beginning`].
    pub(super) fn of(matches: &ArgMatches) -> Self {
        let begin = match matches.get_one::<String>("resume") {
            Some(name) => Begin::Resume(Goes {
                name: name.clone(),
                take_over: matches.get_flag("take-over"),
            }),
            None if matches.get_flag("continue") => Begin::Continue,
            None => Begin::Fresh,
        };
        Self::with(matches, begin)
    }

    /// To go on with a session.
    pub(super) fn resume(matches: &ArgMatches, id: &SessionId) -> Self {
        let goes = Goes {
            name: id.to_string(),
            take_over: matches.get_flag("take-over"),
        };
        Self::with(matches, Begin::Resume(goes))
    }

    /// To begin where another session was.
    pub(super) fn fork(matches: &ArgMatches, from: &SessionId, at: Option<u64>) -> Self {
        let from = from.clone();
        Self::with(matches, Begin::Fork { from, at })
    }

    /// The session that goes on, where one does.
    pub(super) async fn found(&self, folder: &str) -> Result<Option<Found>> {
        if matches!(self.begin, Begin::Fresh) {
            return Ok(None);
        }
        if self.durability.is_none() {
            let text = "a session cannot go on without its log: `--log none`";
            return Err(Error::new(ErrorKind::Config, text)
                .with_hint("fork it and remove the fork later, or leave `--log` out"));
        }
        let store = home::store()?;
        let card = match &self.begin {
            Begin::Resume(goes) => find::find(&store, &goes.name).await?,
            Begin::Fork { from, .. } => find::find(&store, from.as_str()).await?,
            Begin::Continue | Begin::Fresh => find::newest(&store, folder).await?,
        };
        Ok(Some(Found { store, card }))
    }

    /// Where the log goes; `None` where none is kept, which is noted when one was wanted.
    pub(super) async fn shelf(
        &self,
        found: Option<&Found>,
        notes: &mut Vec<String>,
    ) -> Option<Shelf> {
        self.durability?;
        if let Some(found) = found {
            return Some(Shelf {
                store: found.store.clone(),
                id: found.card.id.clone(),
            });
        }
        match fresh().await {
            Ok(shelf) => Some(shelf),
            Err(error) => {
                let why = error.hint().map(|hint| format!(" ({hint})"));
                let why = why.unwrap_or_default().replace('\n', " ");
                notes.push(format!("no log of this session is kept: {error}{why}"));
                None
            }
        }
    }

    /// Tells the session of its log.
    pub(super) fn apply(
        &self,
        session: SessionBuilder,
        shelf: Option<Shelf>,
        folder: &str,
    ) -> SessionBuilder {
        let (Some(durability), Some(Shelf { store, id })) = (self.durability, shelf) else {
            return session;
        };
        let session = session
            .store_arc(store)
            .redacting(Redactor::from_env())
            .durability(durability)
            .on_doubt(self.doubt)
            .on_lost_children(self.children)
            .folder(folder);
        match &self.begin {
            Begin::Fresh => session.id(id),
            Begin::Fork { at, .. } => session.fork(id, *at),
            Begin::Resume(Goes {
                take_over: true, ..
            }) => session.take_over(id),
            Begin::Resume(_) | Begin::Continue => session.resume(id),
        }
    }

    /// Whether a session is forked.
    pub(super) fn is_fork(&self) -> bool {
        matches!(self.begin, Begin::Fork { .. })
    }
}

/// A store that can be written to, for it has just been.
async fn fresh() -> Result<Shelf> {
    let store = home::store()?;
    let id = SessionId::random();
    drop(store.claim(&id, Claiming::IfFree).await?);
    Ok(Shelf { store, id })
}

/// What became of a session that goes on, as lines for people.
pub(super) fn tidings(session: &Session, found: &Found, folder: &str, notes: &mut Vec<String>) {
    if let Some(damage) = session.damage() {
        notes.push(format!(
            "the log is damaged: {}; {} records are lost, and it goes on from the last good one",
            damage.why, damage.lost,
        ));
    }
    if session.is_unfinished() {
        notes.push("the last turn was cut short; it is finished first".to_owned());
    }
    if let Some(old) = found.card.folder.as_deref().filter(|old| *old != folder) {
        notes.push(format!(
            "the session worked in `{old}` and goes on in `{folder}`"
        ));
    }
}
