//! Certificates of ssh-keygen, ours, and bad ones.
