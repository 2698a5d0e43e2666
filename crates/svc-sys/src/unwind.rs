//! What std asks of an unwinder, answered with "nothing there".
//!
//! Programs are built without tables for unwinding (panic = "abort"; the linker leaves them out), so the unwinder that musl
//! programs are linked with would find no frame, and std would carry, for a backtrace that is always empty, everything that reads
//! debug information: a thirtieth of the program. With these in its place the linker sees that none of it is ever called.

use core::ffi::{c_int, c_void};

/// `_URC_END_OF_STACK`: there is no further frame.
const END_OF_STACK: c_int = 5;

/// Would call `_trace` for each frame.
// SAFETY (as for all names here): nobody else in a static program defines them, and the types are those of the Itanium C++ ABI.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_trace: *const c_void, _argument: *mut c_void) -> c_int {
    END_OF_STACK
}

/// Would raise further what is being unwound. Nothing ever is.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume(_exception: *mut c_void) -> ! {
    std::process::abort()
}

/// Would say something of a frame. There is none to ask about.
macro_rules! nothing_of_a_frame {
    ($($name:ident($($argument:ty),*);)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name(_frame: *mut c_void $(, _: $argument)*) -> usize {
            0
        }
    )*};
}

nothing_of_a_frame! {
    _Unwind_FindEnclosingFunction();
    _Unwind_GetCFA();
    _Unwind_GetDataRelBase();
    _Unwind_GetIP();
    _Unwind_GetIPInfo(*mut c_int);
    _Unwind_GetLanguageSpecificData();
    _Unwind_GetRegionStart();
    _Unwind_GetTextRelBase();
    _Unwind_SetGR(c_int, usize);
    _Unwind_SetIP(usize);
}
