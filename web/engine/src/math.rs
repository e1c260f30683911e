//! Single-precision functions, by way of doubles.
//!
//! What WebAssembly brings along for them is older than what other systems have, and its last bits differ; decoders make their
//! tables with them. Computed in doubles and rounded once, they agree with the GNU C library's but for the last bit of 6 powers
//! and exponentials in 10,000 and of 13 sines in 1000: near enough for a search to end in the browser where it ends natively.
#![allow(unsafe_code, reason = "the linker takes these for its own by their names")]

macro_rules! by_way_of_doubles {
    ($($name:ident($($x:ident),*) = $value:expr;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($($x: f32),*) -> f32 {
            $(let $x = f64::from($x);)*
            $value as f32
        }
    )*};
}

by_way_of_doubles! {
    sinf(x) = x.sin();
    expf(x) = x.exp();
    powf(x, y) = x.powf(y);
}
