//! What is true of TLS towards clients, over real sockets.

mod clients;
mod greeting;
mod obtained;
mod reload;
mod selection;
mod support;
mod tickets;
