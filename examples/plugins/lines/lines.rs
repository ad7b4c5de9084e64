//! lines: appends rows to a file, a line each, in Rust. No panic leaves a callback, and nothing is linked but std.

mod headgate;

use headgate as hg;
use std::ffi::{CStr, CString};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::raw::{c_char, c_int, c_void};
use std::os::unix::fs::FileExt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;

#[repr(C)]
struct Config {
    path: *const c_char,
}

struct Worker {
    host: *mut hg::Host,
    api: &'static hg::Api,
    path: PathBuf,
}

impl Worker {
    fn file(&self) -> io::Result<std::fs::File> {
        OpenOptions::new().read(true).append(true).create(true).open(&self.path)
    }

    fn refused(&self, row: *const hg::Row) -> bool {
        let mut name = hg::Value { kind: 0, reserved: 0, json: hg::Text { ptr: std::ptr::null(), len: 0 } };
        unsafe { (self.api.field)(row, b"name\0".as_ptr() as *const c_char, &mut name) != 0 && name.kind != hg::STR }
    }

    /// The row's line: its id, a blank, its data.
    fn line(&self, row: *const hg::Row, out: &mut Vec<u8>) {
        let mut id = [0 as c_char; hg::ROW_ID_SIZE];
        unsafe {
            (self.api.row_id)(row, id.as_mut_ptr());
            out.extend_from_slice(CStr::from_ptr(id.as_ptr()).to_bytes());
            out.push(b' ');
            let data = (self.api.data)(row);
            out.extend_from_slice(std::slice::from_raw_parts(data.ptr as *const u8, data.len));
        }
        out.push(b'\n');
    }

    /// A push that was killed may have left half a line at the end. It goes: all of that push comes again.
    fn cut_half_line(file: &std::fs::File) -> io::Result<()> {
        let end = file.metadata()?.len();
        let (mut whole, mut c) = (end, [0]);
        while whole > 0 {
            file.read_exact_at(&mut c, whole - 1)?;
            if c[0] == b'\n' {
                break;
            }
            whole -= 1;
        }
        if whole < end { file.set_len(whole) } else { Ok(()) }
    }

    fn push(&self, rows: *mut hg::Rows) -> io::Result<()> {
        let mut file = self.file()?;
        Self::cut_half_line(&file)?;
        let mut text = Vec::new();
        for n in 0..unsafe { (self.api.row_count)(rows) } {
            let row = unsafe { (self.api.row)(rows, n) };
            if self.refused(row) {
                let why = b"its name is no text\0".as_ptr() as *const c_char;
                unsafe { (self.api.judge)(rows, n, hg::REJECT, 0, why) };
            } else {
                self.line(row, &mut text);
            }
        }
        file.write_all(&text)?;
        file.sync_data()
    }
}

fn sentence(text: String) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

unsafe extern "C" fn open(host: *mut hg::Host, api: *const hg::Api, config: *const c_void, state: *mut *mut c_void) -> c_int {
    let config = &*(config as *const Config);
    let path = PathBuf::from(CStr::from_ptr(config.path).to_string_lossy().into_owned());
    *state = Box::into_raw(Box::new(Worker { host, api: &*api, path })) as *mut c_void;
    hg::OPEN_OK
}

unsafe extern "C" fn close(state: *mut c_void) {
    drop(Box::from_raw(state as *mut Worker));
}

unsafe extern "C" fn push(state: *mut c_void, rows: *mut hg::Rows) -> c_int {
    let worker = &*(state as *const Worker);
    let why = match catch_unwind(AssertUnwindSafe(|| worker.push(rows))) {
        Ok(Ok(())) => return hg::ALL_OK,
        Ok(Err(error)) => sentence(format!("{}: {}", worker.path.display(), error)),
        Err(_) => sentence("a panic".to_string()),
    };
    (worker.api.not_now)(rows, 0, why.as_ptr())
}

unsafe extern "C" fn probe(state: *mut c_void) -> c_int {
    let worker = &*(state as *const Worker);
    match worker.file() {
        Ok(_) => hg::OPEN_OK,
        Err(error) => {
            (worker.api.fail)(worker.host, sentence(format!("{}: {}", worker.path.display(), error)).as_ptr());
            hg::OPEN_NOT_NOW
        }
    }
}

macro_rules! text {
    ($text:expr) => {
        concat!($text, "\0").as_ptr() as *const c_char
    };
}

static OPTIONS: [hg::Opt; 1] = [hg::Opt {
    name: text!("PATH"),
    kind: hg::PATH,
    flags: hg::REQUIRED | hg::WRITE,
    fallback: std::ptr::null(),
    limits: std::ptr::null(),
    text: text!("The file that rows are appended to."),
    group: std::ptr::null(),
    offset: 0,
}];

static PUSHER: hg::Pusher = hg::Pusher {
    size: std::mem::size_of::<hg::Pusher>() as u32,
    flags: 0,
    max_parallel: 1,
    reserved: 0,
    start: None,
    stop: None,
    open,
    close,
    push,
    flush: None,
    reopen: None,
    probe: Some(probe),
};

static PLUGIN: hg::Plugin = hg::Plugin {
    abi_major: hg::ABI_MAJOR,
    abi_minor: 0,
    size: std::mem::size_of::<hg::Plugin>() as u32,
    kind: hg::KIND_PUSHER,
    name: text!("lines"),
    version: text!("1.0"),
    summary: text!("Appends rows to a file, in Rust."),
    options: &OPTIONS as *const hg::Opt,
    option_count: 1,
    option_size: std::mem::size_of::<hg::Opt>(),
    config_size: std::mem::size_of::<Config>(),
    pusher: &PUSHER,
    puller: std::ptr::null(),
    processor: std::ptr::null(),
};

#[no_mangle]
pub extern "C" fn hg_plugin() -> *const hg::Plugin {
    &PLUGIN
}
