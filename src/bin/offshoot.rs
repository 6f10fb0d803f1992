//! The `offshoot` command: parse, call, and turn one result into one exit code.
//! Refuses everything else; the verbs live in `offshoot::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    offshoot::cli::main(std::env::args_os()).into()
}
