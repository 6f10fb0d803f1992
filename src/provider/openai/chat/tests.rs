//! Chat Completions as vendors and compatibles speak it, quirk by quirk.
//! Refuses the network; frames are handed to the decoder.
