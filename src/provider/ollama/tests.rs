//! Ollama as it is spoken: requests as JSON, answers line by line, every quirk on its own.
//! Refuses the network; frames are handed to the decoder.
