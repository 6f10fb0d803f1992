//! Who holds a session: a file that its owner's process keeps locked, with the owner's name in it.
//! Refuses to be the fence: that is the epoch, this only says whether a claim lives.

use std::path::Path;

use crate::{
    durable::OwnedLock,
    error::{Error, ErrorKind, Result},
    id::SessionId,
    store::Claiming,
};

/// A claim lives as long as this does; the operating system ends it with the process.
pub(super) type Hold = OwnedLock;

/// Takes the file of a session.
///
/// # Errors
/// `Busy`, naming the owner, while another claim lives and is not to be taken over.
pub(super) fn take(path: &Path, id: &SessionId, claiming: &Claiming) -> Result<Hold> {
    let own = owner();
    match OwnedLock::take(path, &own)? {
        Ok(hold) => Ok(hold),
        Err(_) if *claiming == Claiming::TakeOver => OwnedLock::take_over(path, &own),
        Err(other) => {
            let text = format!("the session is being written to: `{id}`");
            let hint = match other.as_str() {
                "" => "another process has it open".to_owned(),
                other if other == own => format!("another part of this program has it: {own}"),
                other => format!("{other} has it open"),
            };
            Err(Error::new(ErrorKind::Busy, text).with_hint(hint))
        }
    }
}

/// This process, as others are told of it.
fn owner() -> String {
    format!("process {} on {}", std::process::id(), host())
}

#[cfg(unix)]
fn host() -> String {
    let uname = rustix::system::uname();
    uname.nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "this machine".into())
}
