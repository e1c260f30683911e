//! Reading recordings: WAV through hound, everything else through symphonia.
