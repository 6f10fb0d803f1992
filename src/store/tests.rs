//! Tests of the session log beside its code.
//! Refuses to test a store by its insides: the contract suite does that from outside.
