//! headgate.h for Rust: the same structures, member by member. The sizes are checked when it is compiled; the numbers are
//! those of headgate's sdk/abi.txt. Only what this pusher calls has a type of its own; the other members keep their
//! places.
#![allow(dead_code)]

use std::os::raw::{c_char, c_int, c_void};

pub const ABI_MAJOR: u32 = 1;
pub const KIND_PUSHER: u32 = 1;
pub const PATH: u32 = 10;
pub const REQUIRED: u32 = 1;
pub const WRITE: u32 = 8;
pub const STR: u32 = 5;
pub const REJECT: u32 = 5;
pub const ALL_OK: c_int = 1;
pub const OPEN_OK: c_int = 1;
pub const OPEN_NOT_NOW: c_int = 2;
pub const ROW_ID_SIZE: usize = 64;

#[repr(C)]
pub struct Host(c_void);
#[repr(C)]
pub struct Rows(c_void);
#[repr(C)]
pub struct Row(c_void);

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text {
    pub ptr: *const c_char,
    pub len: usize,
}

#[repr(C)]
pub struct Value {
    pub kind: u32,
    pub reserved: u32,
    pub json: Text,
}

type Unused = Option<unsafe extern "C" fn()>;

#[repr(C)]
pub struct Api {
    pub size: u32,
    pub abi_minor: u32,
    pub row_count: unsafe extern "C" fn(*const Rows) -> usize,
    pub row: unsafe extern "C" fn(*const Rows, usize) -> *const Row,
    pub row_id: unsafe extern "C" fn(*const Row, *mut c_char),
    pub batch_id: Unused,
    pub uuid: Unused,
    pub number: Unused,
    pub last: Unused,
    pub index: Unused,
    pub client: Unused,
    pub received: Unused,
    pub attempt: Unused,
    pub origin: Unused,
    pub data: unsafe extern "C" fn(*const Row) -> Text,
    pub tag: Unused,
    pub tag_at: Unused,
    pub field: unsafe extern "C" fn(*const Row, *const c_char, *mut Value) -> c_int,
    pub next: Unused,
    pub text: Unused,
    pub judge: unsafe extern "C" fn(*mut Rows, usize, u32, i64, *const c_char),
    pub not_now: unsafe extern "C" fn(*mut Rows, i64, *const c_char) -> c_int,
    pub instance: Unused,
    pub fail: unsafe extern "C" fn(*mut Host, *const c_char),
    pub log: Unused,
    pub count: Unused,
    pub time_left: Unused,
    pub stopping: Unused,
    pub wait: Unused,
    pub state_get: Unused,
    pub state_set: Unused,
    pub settled: Unused,
    pub later: Unused,
    pub settle: Unused,
    pub settle_not_now: Unused,
    pub set_data: Unused,
    pub set_tag: Unused,
    pub emit: Unused,
}

#[repr(C)]
pub struct Opt {
    pub name: *const c_char,
    pub kind: u32,
    pub flags: u32,
    pub fallback: *const c_char,
    pub limits: *const c_char,
    pub text: *const c_char,
    pub group: *const c_char,
    pub offset: usize,
}

#[repr(C)]
pub struct Pusher {
    pub size: u32,
    pub flags: u32,
    pub max_parallel: u32,
    pub reserved: u32,
    pub start: Unused,
    pub stop: Unused,
    pub open: unsafe extern "C" fn(*mut Host, *const Api, *const c_void, *mut *mut c_void) -> c_int,
    pub close: unsafe extern "C" fn(*mut c_void),
    pub push: unsafe extern "C" fn(*mut c_void, *mut Rows) -> c_int,
    pub flush: Unused,
    pub reopen: Unused,
    pub probe: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
}

#[repr(C)]
pub struct Plugin {
    pub abi_major: u32,
    pub abi_minor: u32,
    pub size: u32,
    pub kind: u32,
    pub name: *const c_char,
    pub version: *const c_char,
    pub summary: *const c_char,
    pub options: *const Opt,
    pub option_count: usize,
    pub option_size: usize,
    pub config_size: usize,
    pub pusher: *const Pusher,
    pub puller: *const c_void,
    pub processor: *const c_void,
}

// Constant tables of pointers to constants.
unsafe impl Sync for Opt {}
unsafe impl Sync for Pusher {}
unsafe impl Sync for Plugin {}

const _: () = assert!(std::mem::size_of::<Api>() == 296);
const _: () = assert!(std::mem::size_of::<Opt>() == 56);
const _: () = assert!(std::mem::size_of::<Pusher>() == 80);
const _: () = assert!(std::mem::size_of::<Plugin>() == 96);
