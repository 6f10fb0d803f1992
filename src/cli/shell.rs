//! `offshoot completions` and `offshoot man`, made from the verb table.
//! Refuses to be written by hand.

use std::io::{self, Write};

use clap::ArgMatches;

use super::{exit, exit::Exit, verbs};
use crate::error::Result;

/// Prints completions for a shell.
pub(super) fn completions(matches: &ArgMatches) -> Result<Exit> {
    let Some(shell) = matches.get_one::<clap_complete::Shell>("shell") else {
        return Ok(Exit::Usage);
    };
    let mut text = Vec::new();
    clap_complete::generate(*shell, &mut verbs::command(), "offshoot", &mut text);
    print(&text)
}

/// Prints the manual page.
pub(super) fn man() -> Result<Exit> {
    let mut text = Vec::new();
    let render = |text: &mut Vec<u8>| -> io::Result<()> {
        let mut command = verbs::command();
        command.build();
        clap_mangen::Man::new(command.clone()).render(text)?;
        for verb in command
            .get_subcommands()
            .filter(|verb| verb.get_name() != "help")
        {
            clap_mangen::Man::new(verb.clone()).render(text)?;
        }
        Ok(())
    };
    render(&mut text).map_err(|error| exit::io("the manual page could not be made", error))?;
    print(&text)
}

fn print(text: &[u8]) -> Result<Exit> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(exit::io("standard output", error))
        }
        _ => Ok(Exit::Finished),
    }
}
