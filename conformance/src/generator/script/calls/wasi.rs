//! The functions of WASI.

use serde_json::{Value, json};

use super::one;
use crate::generator::draw::Draw;

/// A call of one of them.
pub(super) fn of(draw: &mut Draw, name: &str) -> Option<Value> {
    let fd = draw.between(0, 4);
    let args = match name {
        "args_get" => json!([8, 8]),
        // Addresses in the guest's memory.
        "environ_get" => return Some(hidden(name, json!([64, 256]))),
        "clock_time_get" => return Some(hidden(name, json!([draw.between(0, 3), 0]))),
        "random_get" => return Some(hidden(name, json!([draw.one_of(&[8, 70_000])]))),
        "environ_sizes_get" | "args_sizes_get" | "sched_yield" => json!([]),
        "clock_res_get" => json!([draw.between(0, 2)]),
        "poll_oneoff" => json!([48, 32, 1]),
        "fd_write" => json!([draw.one_of(&[1, 2, 3]), ["printed", "\n"]]),
        "fd_pwrite" => json!([fd, ["printed"], 0]),
        "fd_close" | "fd_datasync" | "fd_sync" | "fd_tell" => json!([fd]),
        "fd_advise" => json!([fd, 0, 0, 0]),
        "fd_allocate" | "fd_fdstat_set_rights" => json!([fd, 0, 0]),
        "fd_fdstat_get" => json!([fd, 24]),
        "fd_fdstat_set_flags" | "fd_filestat_set_size" => json!([fd, 0]),
        "fd_filestat_get" => json!([fd, 64]),
        "fd_filestat_set_times" => json!([fd, 0, 0, 0]),
        "fd_pread" => json!([fd, ["aaaa"], 0]),
        "fd_prestat_get" | "fd_prestat_dir_name" => json!([fd, 8]),
        "fd_read" => json!([fd, ["aaaa"]]),
        "fd_readdir" => json!([fd, 16, 0]),
        "fd_renumber" => json!([fd, draw.between(0, 4)]),
        "fd_seek" => json!([fd, 0, 0]),
        "path_create_directory" | "path_remove_directory" | "path_unlink_file" => json!([3, "d"]),
        "path_filestat_get" => json!([3, 0, "f", 64]),
        "path_filestat_set_times" => json!([3, 0, "f", 0, 0, 0]),
        "path_open" => json!([3, 0, "f", 0, 0, 0, 0]),
        "path_readlink" => json!([3, "f", 16]),
        "path_rename" => json!([3, "a", 3, "b"]),
        "sock_accept" | "sock_shutdown" => json!([fd, 0]),
        "sock_recv" | "sock_send" => json!([fd, ["aaaa"], 0]),
        _ => return None,
    };
    Some(one(name, args))
}

fn hidden(name: &str, args: Value) -> Value {
    json!({ "call": name, "args": args, "hide": true })
}
