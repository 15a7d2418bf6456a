"use strict";

const find = id => document.getElementById(id);
const wait = milliseconds => new Promise(done => setTimeout(done, milliseconds));
let customer = JSON.parse(sessionStorage.getItem("customer") || "null");
let cart = { items: {}, total: 0 };

async function call(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  if (customer) headers.Authorization = "Bearer " + customer.token;
  return fetch(path, { method, headers, body: body && JSON.stringify(body) });
}

function say(text, link) {
  find("order").textContent = text;
  if (link) {
    const a = document.createElement("a");
    a.href = link;
    a.textContent = "Your invoice";
    find("order").append(" ", a);
  }
}

function show() {
  find("login").hidden = Boolean(customer);
  find("customer").hidden = !customer;
  find("customer").textContent = customer ? customer.email : "";
  find("lines").replaceChildren(...Object.entries(cart.items).map(([id, count]) => {
    const line = document.createElement("li");
    line.append(`${count} × ${catalogue[id].name}`, document.createElement("span"));
    line.lastChild.textContent = count * catalogue[id].price + " kr";
    return line;
  }));
  find("total").textContent = cart.total;
  find("buy").disabled = !customer || cart.total === 0;
}

async function refreshCart(method, body) {
  if (!customer) return say("Log in first.");
  const answer = await call(method, "/cart", body);
  if (answer.status === 401) {
    customer = null;
    sessionStorage.removeItem("customer");
    say("Please log in again.");
  } else if (answer.ok) {
    cart = await answer.json();
  } else {
    say("The cart is away for a moment; try again.");
  }
  show();
}

async function refreshStock() {
  const answer = await call("GET", "/api/v1/stock").then(r => r.json()).catch(() => ({ stock: "unknown" }));
  for (const place of document.querySelectorAll("[data-stock]")) {
    const left = answer.stock[place.dataset.stock];
    place.textContent = left === undefined ? "stock unknown" : left + " in stock";
  }
}

async function buy() {
  find("buy").disabled = true;
  const answer = await call("POST", "/buy", { email: customer.email, items: cart.items });
  if (answer.status !== 202) {
    say("Could not take the order just now; nothing was bought. Try again.");
    return show();
  }
  const job = answer.headers.get("Location");
  say("Thank you! Your invoice is being made …");
  await refreshCart("DELETE");
  for (;;) {
    await wait(300);
    const state = await call("GET", job).then(r => r.json()).catch(() => ({}));
    if (state.status === "done") {
      say("Thank you!", state.invoice);
      return refreshStock();
    }
  }
}

find("login").addEventListener("submit", async event => {
  event.preventDefault();
  const form = new FormData(event.target);
  const answer = await call("POST", "/auth/login", { email: form.get("email"), password: form.get("password") });
  if (!answer.ok) return say("No such customer, or a wrong password.");
  customer = await answer.json();
  sessionStorage.setItem("customer", JSON.stringify(customer));
  say("");
  await refreshCart("GET");
});

for (const button of document.querySelectorAll("[data-add]")) {
  button.addEventListener("click", () => refreshCart("POST", { product: button.dataset.add, count: 1 }));
}
find("buy").addEventListener("click", buy);

show();
refreshStock();
if (customer) refreshCart("GET");
