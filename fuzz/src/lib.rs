//! Models that the fuzz targets hold the product against, each written anew and as plainly as can be.
//!
//! ```text
//!   decimal.rs        exact decimal numbers                          quantity
//!   quantity_model.rs Kubernetes' quantities over them               quantity
//!   label.rs          RFC 1123 labels, and what a name must be       names
//!   exec_model.rs     the remote-command protocol's client side      codec
//!   script.rs         inputs as lines of text                        codec, archive, process, attach
//!   tar_writer.rs     archives from a script, and what is in them    archive
//!   frame_model.rs    the frames of a process's outputs              process
//!   runtime.rs        a clock that stands still                      process, attach
//!   websocket_model.rs what a request for a WebSocket says           attach
//!   resource_model.rs what a path, a query and a range mean          paths
//!   route_model.rs    who a host and a path mean                     routes
//!   header_model.rs   what of a request's headers a sandbox gets     headers
//!   start_model.rs    what of a start's body must arrive             start
//!   archive_reader.rs what the product reads from them               archive
//! ```

pub mod archive_reader;
pub mod decimal;
pub mod exec_model;
pub mod frame_model;
pub mod header_model;
pub mod label;
pub mod quantity_model;
pub mod resource_model;
pub mod route_model;
pub mod runtime;
pub mod script;
pub mod start_model;
pub mod tar_writer;
pub mod websocket_model;
