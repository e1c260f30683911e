//! Completions for shells, and manual pages: both are made from the arguments themselves, so they cannot be out of date.

use super::failure::Failure;
use super::stdio;
use super::typed::Typed;
use clap::CommandFactory as _;
use clap_complete::Shell;

/// Prints a shell's completions.
pub fn completions(shell: Shell) -> Result<(), Failure> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Typed::command(), "agcfix", &mut out);
    stdio::print_bytes(&out)
}

/// Prints the manual page of the program, or of one of its commands.
pub fn man(of: Option<&str>) -> Result<(), Failure> {
    let mut program = Typed::command();
    program.build();
    let command = match of {
        None => program,
        Some(name) => {
            let Some(found) = program.find_subcommand(name) else {
                let names: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
                return Err(Failure::Usage(format!("man {name}: no such command; there are {}", names.join(", "))));
            };
            found.clone().display_name(format!("agcfix-{name}"))
        }
    };
    let mut out = Vec::new();
    let written = clap_mangen::Man::new(command).render(&mut out);
    written.map_err(|error| Failure::Input(format!("manual page: {error}")))?;
    stdio::print_bytes(&out)
}
