"""The data of the redactor: words that speak of codes in many languages, names of secret parameters, shapes of keys.

All words are lower case. A word matches inside a longer one unless it stands in a list of whole words.
"""

# ruff: noqa: RUF001 - the words of other alphabets look like Latin ones

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

PLACEHOLDER = "[redacted]"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for line in text.strip().splitlines() for word in line.split("|"))


#: A number near one of these is a code.
CODE_WORDS = _words("""
code|kode|koodi|kod|passcode|passwort|kennwort|password|one-time|one time|einmal|verification|verify|authenticat
código|codigo|clave|contraseña|senha|verificación|verificação|autenticación|autenticação|usage unique|mot de passe
codice|verifica|wachtwoord|verificatie|bevestig|hasło|weryfikac|jednorazow|doğrulama|şifre|parola
код|пароль|подтвержд|одноразов|проверочн|підтвердж|κωδικ|heslo|ověřov|jelszó|mã xác|mật khẩu|otorisasi|verifikasi
验证码|驗證碼|校验码|动态码|动态密码|确认码|認證碼|口令|認証|確認コード|コード|暗証
パスワード|ワンタイム|인증|확인 코드|보안 코드|비밀번호
رمز|كود|التحقق|کد|קוד|אימות|सत्यापन|ओटीपी|कोड|รหัส|কোড
sign in|sign-in|signing in|log in|login|logging in|anmeld|se connecter|connexion|iniciar sesión|acceso|войти|вход
登录|登入|ログイン|로그인
""")
CODE_WORDS_WHOLE = _words("otp|pin|pins|tan|mfa|2fa|totp|otac|passphrase|smstan")
#: Right of a number only: what one does with a code.
CODE_USES = _words("""
to confirm|to continue|to reset|to complete|to access|to activate|pour confirmer|para confirmar|para entrar|para acceder
per accedere|per confermare|om in te loggen|aby potwierdzić|aby się|giriş yapmak|чтобы
""")
#: A number after one of these, and nearer to it than to a code word, is something else.
OTHER_WORDS = _words("""
zip code|zipcode|postal code|postcode|post code|area code|country code|dial code|dialling code|dialing code|barcode
promo code|promo-code|promotion code|promotional code|coupon code|discount code|voucher code|gift code|referral code
sort code|swift code|branch code|ifsc code|bank code|source code|error code|status code|response code|exit code
error_code|status_code|product code|item code|color code|colour code|hex code|farbcode|fehlercode
rabattcode|gutscheincode
aktionscode|qr-code|qr code|bankleitzahl|code postal|codice postale|código postal|codigo postal|código de área
code promo|codice sconto|codice fiscale|código promocional|código de error|kod pocztowy|kod rabatowy
posta kodu|indirim kodu
почтовый индекс|код города|промокод|код ошибки|邮政编码|错误码|郵便番号|우편번호|postleitzahl
order|invoice|bill no|ticket|case id|case number|case #|booking|reservation|tracking|shipment|parcel|receipt
bestell|auftrag|rechnung|kundennummer|kunden-nr|vorgang|sendungs|artikel|buchung|aktenzeichen
commande|facture|réservation|suivi|pedido|factura|fatura|reserva|ordine|fattura|prenotazione|spedizione
bestelling|factuur|boeking|zamówieni|faktur|przesyłk|sipariş|kargo|заказ|счет №|счёт №|накладн|замовлення
objednávk|rendelés|đơn hàng|pesanan|订单|訂單|单号|發票|发票|注文|請求
ご予約|会員番号|주문|송장|예약|طلب|فاتورة|הזמנה|ऑर्डर|चालान
ending in|ends with|ending with|last four|last 4|endet auf|endend auf|se terminant par|terminado en|che termina
code review|dress code|code of conduct|eindigend|尾号|末尾|〒|邮编|индекс|telefon:|phone:
""")
OTHER_WORDS_WHOLE = _words("tel|fax|plz|nr|sku|ref|iban|siren|siret|inn|ean|isbn|cep|acct|hotline|whatsapp")
#: As above, unless a code word comes before: people verify their phone and confirm their payment.
WEAK_WORDS = _words("""
customer|account|product|serial|policy|contract|transaction|payment|amount|balance|reference|member
konto|betrag|summe|référence|montant|compte|dossier|referencia|referência|cuenta|importe|importo|bedrag
договор|сумма|金额|客户|账号|street|road|avenue|boulevard|straße|strasse|platz|nagar|sector|district|calle|улица
phone|mobile|call us|call me|telephone|téléphone|teléfono|telefone|anrufen|appelez|телефон|звоните|电话|手机|電話|전화
population|version|build|flight|copyright
""")
WEAK_WORDS_WHOLE = _words("""
bill|case|id|vat|step|block|suite|apt|call|total|room|gate|seat|issue|page|conta|conto|since|year
""")
#: Right after a number: what it counts.
UNITS = re.compile(
    r"[ \n]?(?:%|°|€|\$|£|¥|₹|₽|元|円|원|(?:usd|eur|gbp|chf|jpy|cad|aud|inr|rub|pln|try|tl|kr|euros?|dollars?|points?"
    r"|punkte|credits?|items?|artikel|orders?|users?|people|customers?|members|visitors|downloads|times|seconds?|secs?|sec"
    r"|minutes?|mins?|min|hours?|hrs?|days?|weeks?|months?|years?|sekunden|minuten|stunden|tagen?|secondes|jours|heures|segundos"
    r"|minutos|horas|días|dias|secondi|minuti|ore|giorni|seconden|uur|dagen|sekund|minut|godzin|dni|saniye|dakika|saat"
    r"|секунд\w*|минут\w*|час\w*|руб\w*|km|kg|mb|gb|kb|px|ms|steps|words|bytes|characters|entries|rows|records"
    r"|street|road|avenue|ave)\b|秒|分|小时|時間|人|件|点|分钟|초|분|시간|명)",
    re.IGNORECASE,
)
#: Parameters whose value is a secret, whatever it looks like.
SECRET_PARAMETER = re.compile(
    r"[\w.\-]*(?:token|secret|signature|passw|passcode|ticket|jwt|apikey|api_key|api-key|credential|assertion|invite"
    r"|invitation|nonce|hmac|magic|session|verif|confirm|activat|oob)[\w.\-]*"
    r"|(?:[\w.\-]*[_.\-])?(?:otp|pin|pwd|pass|sig|auth|sid|key|hash|code)|oobcode|authcode|resetcode|[tk]",
    re.IGNORECASE,
)
#: Parameters named like one, which are not.
PLAIN_PARAMETER = re.compile(
    r"(?:country|lang|language|currency|zip|postal|post|area|promo|coupon|discount|error|status|locale|region|product|item"
    r"|color|colour|source|ref|tracking)[_.\-]?(?:code|key|id)|token_type|session_count|passw\w*_reset|keywords?",
    re.IGNORECASE,
)
#: Path segments after which a secret comes.
LINK_WORD = re.compile(
    r"reset|verif|confirm|activat|invit|magic|passwor|passwd|recover|unlock|log-?in|sign-?in|sign-?up|signup|register|token"
    r"|auth|otp|code|validate|accept|one-?time|sso|session|oauth|callback|verify|bestaetig|aktivier|einlad|zuruecksetz"
    r"|optin|opt-in|change|restore|welcome|join|share",
    re.IGNORECASE,
)
#: Path segments after which a plain number or name comes.
PLAIN_SEGMENT = re.compile(
    r"orders?|invoices?|articles?|posts?|products?|items?|users?|help|docs|blog|news|errors?|v\d+|pages?|issues?|tickets?|faq",
    re.IGNORECASE,
)
STATIC_FILE = re.compile(r"\.(?:css|js|png|jpe?g|gif|svg|webp|ico|woff2?|ttf|mp4|pdf)$", re.IGNORECASE)


class Shape(NamedTuple):
    """A secret that is known by its shape: *pattern*, made for text in lower case, is tried where *needle* occurs.

    Its last group that took part, or else all of it, is the secret.
    """

    needle: str
    pattern: re.Pattern[str]


#: A value in quotes, or up to the next space or bracket.
_VALUE = r"""(?!\[redacted)(?:"([^"\n]{1,512})"|'([^'\n]{1,512})'|([^\s"'<>,;&{}()\[\]]{3,2048}))"""
_GIVEN = r"""["']?\s{0,3}(?:=>|[:=])\s{0,3}+"""
#: Words that follow "password:" in a sentence, where no password follows.
_NO_PASSWORD = (
    r"(?!\[redacted|https?:|www\.|(?:use|click|follow|please|visit|go|the|a|an|to|you|your|open|tap|see|if|we|it|this|reset"
    r"|none|klicken|bitte|cliquez|haga|clique|null|true|false|required|forgot\w*|changed|expired|incorrect|invalid|wrong"
    r"|about|not|being|now|set|safe|weak|strong|still|only|valid|at|too)\b)"
)
_PASSWORD_GIVEN = (
    r"(?:[_ -]?\w{0,12})?[\"']?[ \t]{0,3}(?:=>|[:=：]|\bis\b:?|\bist\b:?|lautet:?|\best\b ?:?|是|は)"
    rf"[ \t]{{0,3}}\n{{0,3}}[ \t]{{0,3}}{_NO_PASSWORD}"
    r"(?:\"([^\"\n]{1,512})\"|'([^'\n]{1,512})'|([^\s\"'<>]{3,512}))"
)
#: What must stand before "key" for its value to be a secret.
_KEY_OWNERS = ("_", "-", "api", "api ", "access", "access ", "secret", "private")
_KEY_OWNER = "|".join(f"(?<={owner}key)" for owner in _KEY_OWNERS)
_NAMED = {
    "key": rf"(?:{_KEY_OWNER})(?:_id)?{_GIVEN}{_VALUE}",
    "token": rf"(?![_-]?(?:type|count|lifetime))\w{{0,16}}{_GIVEN}{_VALUE}",
    "secret": rf"[\w-]{{0,16}}{_GIVEN}{_VALUE}",
    "credential": rf"s?{_GIVEN}{_VALUE}",
    "signature": rf"{_GIVEN}{_VALUE}",
}
_PASSWORD_NAMES = _words("""
password|passwd|pwd|passphrase|passwort|kennwort|mot de passe|contraseña|contrasena|senha|hasło|parola|şifre|wachtwoord
пароль|密码|密碼|パスワード|비밀번호|lösenord|adgangskode|heslo|jelszó|salasana|mật khẩu|كلمة المرور
""")
_HEX_END = r"[0-9a-f]{32}(?![0-9a-z_])"
#: Of known shape: what comes before, and how it goes on. A word character before it means that it is something else.
_PREFIXED = {
    "eyj": r"[\w-]{5,}\.[\w-]{3,}(?:\.[\w-]*){0,3}",  # JSON Web Token
    "sg.": r"[\w-]{3,}\.[\w-]{3,}",  # SendGrid
    "akia": r"[0-9a-z]{12,20}\b",  # AWS
    "asia": r"(?=[a-z]{0,15}[0-9])[0-9a-z]{16}\b",
    "ac": _HEX_END,  # Twilio
    "sk": _HEX_END,
    "sk_live_": r"\w{6,}",  # Stripe
    "sk_test_": r"\w{6,}",
    "pk_live_": r"\w{6,}",
    "rk_live_": r"\w{6,}",
    "whsec_": r"[\w+/=]{6,}",
    "xox": r"[a-z]-[\w-]{10,}",  # Slack
    "ghp_": r"\w{16,}",  # GitHub, GitLab
    "ghs_": r"\w{16,}",
    "gho_": r"\w{16,}",
    "github_pat_": r"\w{16,}",
    "glpat-": r"[\w-]{16,}",
    "key-": _HEX_END,  # Mailgun
    "aiza": r"[\w-]{30,}",  # Google
    "ya29.": r"[\w-]{10,}",
    "xkeysib-": r"[\w-]{16,}",  # Brevo
    "xsmtpsib-": r"[\w-]{16,}",
    "re_": r"[a-z0-9]{6,}_[a-z0-9]{10,}",  # Resend
}
_NO_PLAIN_CODE = "".join(
    f"(?<!{owner} code)" for owner in _words("promo|error|status|coupon|discount|zip|postal|voucher|color|product")
)
_FREE = {
    "otpauth": r"(?:-migration)?://([^\s\"'<>]+)",
    "authorization": rf"{_GIVEN}(?:[\"']?(?:bearer|basic|token|digest|apikey|key)\s{{1,3}})?+"
    r"(?!\[redacted)([^\n\"'<>,;]{3,4096})",
    "bearer ": r"(?=[^\s]{0,40}[0-9._-])([\w.~+/=-]{6,})",
    "basic ": r"(?=[a-z]{0,40}[0-9=+/])([\w+/=-]{8,})",
    "cookie": r"[\"']?\s{0,3}:\s{0,3}([^\n]{3,4096})",
    "private key-----": r"([^-]{1,16384})",
    "://": r"[^\s/:@\"'<>]{0,128}:([^\s/@\"'<>]{1,256})@",
    "setup key": rf"{_GIVEN}([a-z2-7]{{4}}(?:[ -]?[a-z2-7]{{4}}){{3,15}})\b",
    "secret key": rf"{_GIVEN}([a-z2-7]{{4}}(?:[ -]?[a-z2-7]{{4}}){{3,15}})\b",
    "code": rf"{_NO_PLAIN_CODE}(?<![a-z]code)(?:\s{{1,3}}is)?\s{{0,2}}[:：]?\s{{1,3}}"
    r"(?=[a-z-]{0,11}[0-9])(?=[0-9-]{0,11}[a-z])([a-z0-9]{3,10}(?:-[a-z0-9]{2,10}){0,4})(?![\w/.:-])",
}


def _shapes() -> tuple[Shape, ...]:
    texts = {name: _PASSWORD_GIVEN for name in _PASSWORD_NAMES} | _NAMED | _FREE
    # A code that belongs to a web origin stands on a line of its own: "@example.org #123456".
    texts["@"] = r"[\w.-]{3,253} #(\w{4,12})(?!\w)"
    texts |= {prefix: rf"(?<![0-9a-z_]{re.escape(prefix)}){rest}" for prefix, rest in _PREFIXED.items()}
    return tuple(Shape(needle, re.compile(re.escape(needle) + rest)) for needle, rest in texts.items())


def _group(shapes: Iterable[Shape]) -> Mapping[str, list[Shape]]:
    """Group shapes by a part that their needles share: where it does not occur, none of them is looked for."""
    groups: dict[str, list[Shape]] = {}
    for shape in shapes:
        fragment = next((fragment for fragment in _FRAGMENTS if fragment in shape.needle), shape.needle)
        groups.setdefault(fragment, []).append(shape)
    return groups


_FRAGMENTS = ("pass", "wort", "_", "key", "sib-")
#: By a part that each needle of a group has; the others have letters that no ASCII text has.
SHAPE_GROUPS = tuple(_group(shape for shape in _shapes() if shape.needle.isascii()).items())
OTHER_SHAPES = tuple(shape for shape in _shapes() if not shape.needle.isascii())
