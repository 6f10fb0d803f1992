//! A session that outlives its process: kept in a file, taken up after a death, forked.
//! Needs no key: the model is scripted. The program starts itself once more, to be killed.

use std::{fs, io::Write, path::Path, process::Command, sync::Arc};

use offshoot::{
    Agent, Result, Role, Session,
    store::{SqliteStore, Store},
    testing::{Answer, Scripted, Seen},
    tool_fn,
};
use serde_json::{Value, json};

/// The model asks for a letter to be sent, and reads what became of it.
fn play(seen: &Seen) -> Answer {
    match seen.messages.last().unwrap().role {
        Role::User if seen.messages.len() > 1 => "Ask Kim whether it came.".into(),
        Role::User => Answer::empty().call("send", json!({"to": "Kim"})),
        _ => "I do not know whether it was sent, so I did not send it again.".into(),
    }
}

fn agent(home: &Path) -> Result<Agent> {
    let letters = home.join("letters");
    let send = tool_fn("send", "Sends a letter", move |letter: Value| {
        let mut open = fs::OpenOptions::new();
        let mut file = open.create(true).append(true).open(&letters).unwrap();
        writeln!(file, "{letter}").unwrap();
        // The letter is gone, and before anybody knows it, so is the program.
        async { std::process::abort() as String }
    });
    Agent::builder(Scripted::with(play)).tool(send).build()
}

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "only a process can be killed")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(home) = std::env::args_os().nth(1).map(std::path::PathBuf::from) {
        let store = SqliteStore::open(home.join("sessions"))?;
        let session = Session::builder(agent(&home)?).store(store).open();
        session.await?.submit_message("Write to Kim").finish().await;
        return Ok(()); // never: the tool ends the process
    }
    let home = tempfile::tempdir()?;
    let mut first = Command::new(std::env::current_exe()?);
    println!("first life: {}", first.arg(home.path()).status()?);
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(home.path().join("sessions"))?);
    let card = store.list().await?.remove(0);
    println!("kept: {}, {} records", card.title, card.records);
    let session = Session::builder(agent(home.path())?).store_arc(store);
    let mut session = session.resume(card.id).open().await?;
    println!("resumed: {}", session.go_on().finish().await.text);
    let letters = fs::read_to_string(home.path().join("letters"))?;
    println!("sent: {}", letters.trim());
    let mut fork = session.fork_at(session.last_record()).await?.open().await?;
    let outcome = fork.submit_message("And now?").finish().await;
    println!("fork: {}", outcome.text);
    Ok(())
}
