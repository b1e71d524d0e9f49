//! The gateway over real sockets: clients in its network on one side, servers that the tests script on the other.

mod ahead;
mod carry;
mod clear;
mod connect;
mod control;
mod first;
mod forms;
mod hold;
mod inject;
mod limits;
mod names;
mod opened;
mod reload;
mod rig;
mod tls;
