//! The street: the verb table, the only argument parser and the only printing.
//! Refuses work of its own: each verb is one file that calls into the library.

#[cfg(unix)]
mod agents;
mod area;
mod brief;
mod chat;
mod crew;
mod diff;
mod exit;
mod export;
mod find;
mod fork;
mod home;
mod idle;
mod import;
mod keep;
mod keyboard;
#[cfg(unix)]
mod live;
mod model;
mod progress;
mod project;
mod prune;
mod render;
mod replay;
mod resume;
mod run;
mod sessions;
mod shell;
mod show;
mod terminal;
mod verbs;

use std::ffi::OsString;

pub use self::exit::Exit;

/// Runs the command line and says how the process should end.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    let matches = match verbs::command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => {
            // clap knows which stream help and mistakes go to, and whether to use colour.
            error.print().ok();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Finished
            };
        }
    };
    let Some((name, matches)) = matches.subcommand() else {
        return Exit::Usage;
    };
    let Some(verb) = verbs::VERBS.iter().find(|verb| verb.name == name) else {
        return Exit::Usage;
    };
    let done = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let done = runtime.block_on(async {
                tokio::select! {
                    biased;
                    done = (verb.run)(matches) => Some(done),
                    () = run::insisted() => None,
                }
            });
            match done {
                Some(done) => {
                    // A blocked read of the terminal must not hold up the end of the process.
                    runtime.shutdown_background();
                    done
                }
                None => {
                    // Programs are killed by the tasks that keep them, as those are dropped.
                    runtime.shutdown_timeout(run::LAST_MOMENT);
                    Ok(Exit::Cancelled)
                }
            }
        }
        Err(error) => Err(exit::io("the runtime could not be started", error)),
    };
    done.unwrap_or_else(|error| {
        terminal::print_error(&error);
        Exit::of(&error)
    })
}
