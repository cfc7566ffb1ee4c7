//! End to end: the program itself between real peers. One behaviour per file, one test at a time.

mod attacks;
mod browser_calls;
mod canary;
mod credentials;
mod load;
mod overload;
mod pool_faults;
mod restart;
mod secrecy;
mod streams;
