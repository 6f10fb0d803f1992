//! Stores of session logs: the contract, planted wrong stores, damage, disks that fail, many processes.
//! Refuses to know how an agent uses them, which `log` tests.

mod contract;
mod planted;
