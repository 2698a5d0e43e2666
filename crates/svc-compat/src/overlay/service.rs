//! `service`, as scripts of distributions call it, over `svc ctl`.

use std::ffi::OsString;

use crate::chain;
use crate::command::{Call, Command, Failure, Opt, Outcome};

pub(super) const SERVICE: Command = Command {
    name: "service",
    about: "steer a service by its name",
    operands: "NAME start|stop|restart|reload|force-reload|status",
    options: &[Opt::flag('s', "the status of all services").long("status-all")],
    notes: "Does what svc-ctl does with these words.",
    codes: &[],
    run: service,
};

fn service(call: &Call) -> Outcome {
    if call.has('s') {
        return chain::execute_own("svc-ctl", [OsString::from("status")]);
    }
    let name = call.operand(0, "the name of the service")?;
    let action = call.operand(1, "what to do")?;
    let verb = match action.to_str() {
        Some(verb @ ("start" | "stop" | "restart" | "reload" | "status")) => verb,
        Some("force-reload") => "restart",
        Some(_) | None => return Err(Failure::usage(format!("'{}': no such action", action.display()))),
    };
    chain::execute_own("svc-ctl", [OsString::from(verb), name.to_owned()])
}
