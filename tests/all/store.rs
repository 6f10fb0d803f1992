//! Stores of session logs: the contract, planted wrong stores, damage, disks that fail, many processes.
//! Refuses to know how an agent uses them, which `log` tests.

mod alike;
mod contract;
mod damage;
#[cfg(target_os = "linux")]
mod faults;
mod planted;
#[cfg(unix)]
mod processes;
mod shelf;
mod versions;
