//! Tests of the file beside its code: what needs the insides of the database.
//! Refuses what the contract suite says of every store.
