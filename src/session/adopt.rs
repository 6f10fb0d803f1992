//! A conversation from another program becomes a session, with a log of its own.
//! Refuses to leave anything open: what nobody knows the result of is said to be unknown.

use std::sync::Arc;

use super::{Session, log::bodies};
use crate::{
    error::Result,
    event::StopReason,
    id::{AgentPath, SessionId, TurnId},
    message::Role,
    store::{Body, Card, Foreign, LOG_FORMAT, Log, Policies, Recalled, Store, TITLE, claim},
    transcript::{Repair, Transcript},
};

/// Messages that are handed to the store in one go.
const SAVED_AT_ONCE: usize = 500;

impl Session {
    /// Writes the log of a session that begins with a conversation from elsewhere, mended where
    /// vendors would refuse it, and says what was mended. Resume it to go on.
    ///
    /// What the conversation has cost elsewhere is not charged to the session.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use std::sync::Arc;
    /// use offshoot::{
    ///     Agent, Session, SessionId,
    ///     provider::Offline,
    ///     store::{Foreign, MemoryStore, Store},
    /// };
    ///
    /// let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    /// let lines = [r#"{"type":"user","uuid":"1","parentUuid":null,
    ///     "message":{"role":"user","content":"What can you do?"}}"#];
    /// let id = SessionId::random();
    /// Session::adopt(&store, &id, Foreign::from_claude(lines)).await?;
    ///
    /// let agent = Agent::builder(Offline::new()).build()?;
    /// let session = Session::builder(agent).store_arc(store).resume(id).open().await?;
    /// assert_eq!(session.history()[0].text(), "What can you do?");
    /// # Ok::<(), offshoot::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// When there is a session of this name, or the store does not take it.
    ///
    /// Cancel safety: dropping it may leave the beginning of the log.
    pub async fn adopt(
        store: &Arc<dyn Store>,
        id: &SessionId,
        foreign: Foreign,
    ) -> Result<Vec<Repair>> {
        let (mut transcript, mut repairs) = Transcript::load(foreign.messages);
        repairs.extend(transcript.repair());
        let claim = claim(store, id).await?;
        let mut card = Card::new(id.clone());
        card.title = foreign.title.trim().chars().take(TITLE).collect();
        card.folder = foreign.folder;
        let log = Log::new(
            store.clone(),
            claim,
            card,
            Policies::default(),
            foreign.secrets,
            Recalled::default(),
        );
        let root = AgentPath::root();
        let mut turn = TurnId::default();
        log.write(&root, turn, || Body::Opened {
            format: LOG_FORMAT,
            session: id.clone(),
            model: foreign.model.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        for (number, message) in transcript.messages().enumerate() {
            if number % SAVED_AT_ONCE == SAVED_AT_ONCE - 1 {
                log.save().await?;
            }
            if message.role == Role::User {
                if turn.0 > 0 {
                    end(&log, &root, turn);
                }
                turn.0 += 1;
            }
            for body in bodies(message.clone()) {
                log.write(&root, turn, || named(body, &foreign.model));
            }
        }
        if turn.0 > 0 {
            end(&log, &root, turn);
        }
        log.save().await?;
        Ok(repairs)
    }
}

fn end(log: &Log, root: &AgentPath, turn: TurnId) {
    let stop = StopReason::Finished;
    log.write(root, turn, || Body::TurnEnd { stop });
}

fn named(mut body: Body, said_by: &str) -> Body {
    if let Body::Assistant { model, .. } = &mut body {
        let name = said_by.split_once('/').map_or(said_by, |(_, name)| name);
        name.clone_into(model);
    }
    body
}
