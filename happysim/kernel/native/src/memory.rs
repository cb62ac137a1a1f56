//! How much memory this process takes, and how it lies.

/// On lines of the processor's cache of its own. What one thread writes all the time must not lie on a
/// line from which others read, or each write takes the line away from them.
#[repr(align(64))]
#[derive(Default)]
pub struct Apart<T>(pub T);

/// MiB in use now; 0 where the system does not tell.
#[cfg(unix)]
pub fn used_mib() -> f64 {
    let pages: Option<f64> = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse().ok());
    // SAFETY: both calls only read, and `usage` is as large as the call expects.
    unsafe {
        if let Some(pages) = pages {
            return pages * libc::sysconf(libc::_SC_PAGESIZE) as f64 / 1048576.0;
        }
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage.ru_maxrss as f64 / 1024.0
    }
}

#[cfg(not(unix))]
pub fn used_mib() -> f64 {
    0.0
}

/// Asks for large pages where a vector is large: a look-up at random then costs one miss, not two.
pub fn in_large_pages<T>(values: &Vec<T>) {
    #[cfg(target_os = "linux")]
    {
        const LARGE: usize = 1 << 21;
        let start = (values.as_ptr() as usize).next_multiple_of(LARGE);
        let end = values.as_ptr() as usize + values.capacity() * size_of::<T>();
        if end >= start + 2 * LARGE {
            // SAFETY: the range lies within the vector; a hint about it may be refused.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = values;
}
