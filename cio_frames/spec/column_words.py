"""Words in column names that show whether a column identifies a person or a thing.

Words are in lower case and without accents, as `words_of` returns them; common German compounds are
listed in addition to their parts.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

WordMeaning = Literal["person", "user", "staff", "visitor", "thing", "id", "email", "neutral"]
"""What a word means: a customer of any kind, a user, a member of the staff, a browser or device, something
that is not a person, an identifier, an e-mail address, or nothing in particular."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnWords:
    """Words with the same meaning."""

    meaning: WordMeaning
    words: frozenset[str]


def _row(meaning: WordMeaning, words: str) -> ColumnWords:
    return ColumnWords(meaning=meaning, words=frozenset(words.split()))


_ROWS = (
    _row("person", "customer customers cust contact contacts recipient subscriber member person people profile respondent attendee "
         "invitee participant registrant requester requestor reporter buyer purchaser shopper payer lead leads donor donator student "
         "learner patient client clients patron volunteer applicant candidate parent traveler passenger tenant borrower "
         "klant klanten kunde kunden kundin empfanger teilnehmer mitglied mitglieds abonnent besteller kaufer kontakt interessent "
         "cliente clientes clienti destinataire abonne membre participante adherent acheteur destinatario suscriptor comprador miembro "
         "huesped contacto contato contatto assinante inscrito iscritto partecipante acquirente deelnemer ontvanger abonnee koper klient "
         "klienta klientow kontaktu odbiorca odbiorcy uczestnik uczestnika subskrybent subskrybenta"),
    _row("user", "user users username login benutzer nutzer utilisateur usuario utilizador utente gebruiker uzytkownik uzytkownika"),
    _row("staff", "owner rep representative agent agents sender staff assignee assigned submitter host organizer organiser author "
         "creator by manager admin administrator seller salesperson salesman vendor supplier merchant employee teammate instructor "
         "teacher trainer coach driver operator approver reviewer collaborator reply replyto referrer referred affiliate support advisor "
         "consultant reports supervisor cashier courier bearbeiter verkaufer betreuer mitarbeiter ansprechpartner absender lieferant "
         "trainerin berater conseiller vendeur expediteur responsable fournisseur vendedor remitente proveedor agente verkoper "
         "empleado empleada vendedora funcionario atendente fornecedor venditore dipendente fornitore medewerker leverancier beheerder "
         "sprzedawca sprzedawcy opiekun opiekuna pracownik pracownika dostawca"),
    _row("visitor", "anonymous anon visitor device devices browser cookie guest domain network pseudo session sessions client_session"),
    _row("thing", "order orders response event events transaction txn trans message ticket tickets charge invoice campaign product products "
         "payment subscription subscriptions form survey submission entry import list company companies account accounts organization "
         "organisation org deal deals activity conversation request plan item lineitem sku variant store location team group workspace "
         "project course enrollment collector case issue batch insert log line shop site app card bank tax vat api template metric "
         "opportunity quote refund shipment tracking booking reservation appointment meeting call "
         "bestellung bestell auftrag auftrags rechnung rechnungs artikel firma firmen commande facture produit societe entreprise "
         "pedido factura producto empresa reserva encomenda fatura produto ordine fattura prodotto azienda prenotazione bestelling factuur "
         "bedrijf zamowienie zamowienia faktura faktury produkt produktu firmy"),
    _row("id", "id ids no nr num number nummer key uuid guid uid identifier code ref numero n identifiant kennung identificador codigo codice identificativo numer identyfikator kod"),
    _row("email", "email emails mail mails courriel correo mailadresse emailadresse emailaddress mailaddress emailadres mailadres correio"),
    _row("neutral", "unique primary external record own main the of de du des del der die das la le les el los d l associated address "
         "addr adresse direccion electronico electronique eletronico indirizzo adres do dos da di della van het work my your"),
)  # fmt: skip

_MEANINGS: Mapping[str, WordMeaning] = MappingProxyType(
    {word: row.meaning for row in reversed(_ROWS) for word in row.words}
)
_ID_ENDINGS = sorted(
    next(row.words for row in _ROWS if row.meaning == "id") - {"n", "ref"}, key=len, reverse=True
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\dA-Z_]+|\d+")


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a column name, in lower case and without accents.

    Examples:
        >>> words_of("recipientEmail"), words_of("Numéro client"), words_of("Associated Contact IDs")
        (('recipient', 'email'), ('numero', 'client'), ('associated', 'contact', 'ids'))
        >>> words_of("Kundennr."), words_of("Order #"), words_of("E-Mail-Adresse")
        (('kunden', 'nr'), ('order', 'number'), ('email', 'adresse'))
    """
    unaccented = "".join(
        character
        for character in unicodedata.normalize("NFKD", name)
        if not unicodedata.combining(character)
    )
    spelled = re.sub(r"(?i)\be[-_ ]?mail", "email", re.sub(r"IDs\b", "Ids", unaccented)).replace(
        "#", " number "
    )
    parts = [word.casefold() for word in _WORD.findall(spelled)]
    return tuple(part for word in parts for part in _split_compound(word))


def _split_compound(word: str) -> tuple[str, ...]:
    """Return the parts of a compound of a person or thing and an ID, such as userid, or the word itself."""
    if word in _MEANINGS:
        return (word,)
    ends = (end for end in _ID_ENDINGS if word.endswith(end) and word[: -len(end)] in _MEANINGS)
    end = next(ends, "")
    return (word[: -len(end)], end) if end else (word,)


def word_meaning(word: str) -> WordMeaning | None:
    """Return the meaning of a word of a column name, None if it is unknown.

    Examples:
        >>> word_meaning("kunden"), word_meaning("owner"), word_meaning("colour")
        ('person', 'staff', None)
    """
    return _MEANINGS.get(word)
