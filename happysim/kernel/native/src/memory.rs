//! How much memory this process takes.

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
