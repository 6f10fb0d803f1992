//! Responses as OpenAI speaks it: every item, every end, every error inside a good answer.
//! Refuses the network; frames are handed to the decoder.
