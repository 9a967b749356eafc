// Gradio runs this when the component is there. The page's address may have a path of its own, behind a proxy.
const configured = new URL(window.gradio_config?.root ?? "", location.href).pathname.replace(/\/*$/, "/");
const path = configured !== "/" && location.pathname.startsWith(configured.slice(0, -1)) ? configured : location.pathname.replace(/[^/]*$/, "");
const base = new URL(path, location.origin);
import(new URL(props.script, base).href).then(({ mount }) => mount({ element, props, watch, base, transcribed: () => trigger("transcript"), renew: () => trigger("renew") }));
